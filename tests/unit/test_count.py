"""Workers that live never share their count of connections."""

from scoregate.server.connection_share import Count


def test_each_of_more_workers_than_a_reload_of_1024_has_its_own():
    counts: list[Count] = []
    for _ in range(2 * 1024 + 10):
        counts.append(Count(counts))
        counts[-1].begin()
    counts[0].add(5)
    assert counts[256].of_others() == len(counts) - 1 + 5
    assert [each for each in counts if each.of_others() != counts[256].of_others()] == [counts[0]]


def test_a_new_worker_begins_with_none_where_an_old_one_has_ended():
    first = Count([])
    second = Count([first])
    for each in (first, second):
        each.begin()
    first.add(7)
    new = Count([second])
    assert second.of_others() == 0
    new.begin()
    assert (second.of_others(), new.of_others()) == (1, 1)
