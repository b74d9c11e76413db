"""The peers, in the order of the table."""

from . import azureml, bentoml, fastapi, floor, litserve, mlserver, naive, pytriton, scoregate, triton

PEERS = (
    floor.PEER,
    triton.PEER,
    naive.PEER,
    fastapi.PEER,
    azureml.PEER,
    pytriton.PEER,
    litserve.PEER,
    mlserver.PEER,
    bentoml.PEER,
    scoregate.PEER,
    scoregate.OWN,
    scoregate.TWIN,
)
