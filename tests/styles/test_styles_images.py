"""Scripts that take pictures: as the body, split over modules, as an upload from another site's page."""

import io

import pytest
import requests
from style_models import put_pictures


@pytest.fixture(scope="module")
def styles(start_style, tmp_path_factory):
    """The same models where Azure ML puts those registered as `triton/` and as `models/`."""
    directory = tmp_path_factory.mktemp("registered")
    put_pictures(directory / "triton")
    (directory / "as_folder" / "models").mkdir(parents=True)
    (directory / "as_folder" / "models" / "triton").symlink_to(directory / "triton")
    return {
        "image_bytes": start_style("image_bytes", directory),
        "image_split": start_style("image_split", directory / "as_folder"),
        "image_upload": start_style("image_upload", directory),
    }


@pytest.fixture
def image_bytes(styles):
    return styles["image_bytes"].wait_ready()


@pytest.fixture
def image_split(styles):
    return styles["image_split"].wait_ready()


@pytest.fixture
def image_upload(styles):
    return styles["image_upload"].wait_ready()


def picture(colour, kind="PNG", size=(48, 48)):
    from PIL import Image  # installed by start_style, since the scripts require it

    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


ORANGE, TEAL, VIOLET = (250, 128, 10), (0, 130, 120), (140, 0, 255)


@pytest.mark.parametrize(
    ("colour", "kind", "page"),
    [
        (ORANGE, "PNG", "<ol><li>red (0): 0.98</li><li>green (1): 0.50</li></ol>"),
        (TEAL, "PNG", "<ol><li>green (1): 0.51</li><li>blue (2): 0.47</li></ol>"),
        (VIOLET, "BMP", "<ol><li>blue (2): 1.00</li><li>red (0): 0.55</li></ol>"),
    ],
)
def test_a_picture_as_the_body_comes_back_as_a_page_of_labels(image_bytes, colour, kind, page):
    reply = image_bytes.score(picture(colour, kind), headers={"Content-Type": "application/octet-stream"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert reply.text == page


def test_a_script_of_raw_http_decides_on_every_method_and_status(image_bytes):
    def answer(method, **sent):
        reply = requests.request(method, image_bytes.url + "/score", timeout=10, **sent)
        return reply.status_code, reply.text.partition(":")[0]

    assert answer("GET") == (200, "Post a picture to /score")
    assert answer("OPTIONS") == (405, "Only POST")
    assert answer("HEAD") == (405, "")
    assert answer("POST", data=b"\x89PNG, but no more") == (400, "Not a picture")


def test_the_metadata_and_config_of_the_model_tell_the_script_what_it_takes(image_bytes):
    spec = (
        "'input': 'data_0', 'output': 'fc6_1', 'datatype': 'FP32', 'format': 'FORMAT_NCHW', 'batched': False, "
        "'size': (32, 24), 'channels': 3"
    )
    image_bytes.wait_log(f"The model takes {{{spec}}}\n")


def test_modules_beside_the_script_are_its_own_whatever_their_names(image_split):
    reply = image_split.score(picture(VIOLET, "JPEG"))
    assert (reply.status_code, reply.text) == (200, "blue\nred\ngreen")
    assert "[-] pictures: colours of pictures is ready\n" in image_split.log.read_text()
    assert requests.get(image_split.url + "/score", timeout=5).text == "colours of pictures"
    reply = image_split.score(b"text")
    assert (reply.status_code, reply.json()) == (400, {"problem": "the body is no picture"})


def test_an_upload_of_a_form_is_in_the_requests_files(image_upload):
    reply = requests.post(
        image_upload.url + "/score",
        files={"image": ("café.png", picture(ORANGE), "image/png")},
        data={"note": "für dich"},
        timeout=10,
    )
    assert reply.status_code == 200, reply.text
    assert reply.json() == {
        "file": "café.png",
        "note": "für dich",
        "means": {"red": 250.0, "green": 128.0, "blue": 10.0},
    }
    assert reply.headers["Content-Type"] == "application/json"


def test_an_upload_that_lacks_the_file_is_the_scripts_to_answer(image_upload):
    reply = requests.post(image_upload.url + "/score", files={"photo": b"x"}, timeout=10)
    assert (reply.status_code, reply.json()) == (422, {"problem": "no file named image"})


def test_a_script_answers_a_browsers_preflight_and_lets_it_read_the_answer(image_upload):
    origin = {"Origin": "https://shop.example"}
    preflight = requests.options(
        image_upload.url + "/score", headers={**origin, "Access-Control-Request-Method": "POST"}, timeout=10
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    allowed = {name: value for name, value in preflight.headers.items() if name.startswith("Access-Control-Allow")}
    assert allowed == {
        "Access-Control-Allow-Origin": "https://shop.example",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "x-request-id",
    }
    reply = requests.post(image_upload.url + "/score", files={"image": picture(TEAL)}, headers=origin, timeout=10)
    assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, "https://shop.example")
