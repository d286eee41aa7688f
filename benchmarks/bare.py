"""`python -m benchmarks.bare PORT SECRET`: a bare Starlette route that reads a body and verifies its HMAC, and no more.

What signed webhooks cost at least in Python, served the way that Accord is served.
"""

import gc
import hmac
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.serving import YOUNG_OBJECTS


def main() -> None:
    port, secret = int(sys.argv[1]), sys.argv[2].encode()

    async def hook(request: Request) -> Response:
        body = await request.body()
        expected = hmac.digest(secret, body, "sha256").hex()
        if not hmac.compare_digest(request.headers.get("x-signature", ""), expected):
            return JSONResponse({"success": False}, 401)
        return JSONResponse({"success": True})

    app = Starlette(routes=[Route("/hook", hook, methods=["POST"])])
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="off", server_header=False)


if __name__ == "__main__":
    main()
