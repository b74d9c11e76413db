import asyncio


def init():
    pass


async def run(data):
    await asyncio.sleep(0.01)
    return {"awaited": data}
