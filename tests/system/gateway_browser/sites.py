"""Local web sites for the browser: those of two addresses, and one of the ordinary Internet."""

from collections import Counter

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body{{font:18px/1.5 system-ui;margin:10vh auto;max-width:30em}}h1{{color:{colour}}}</style>
<h1>{name}'s page</h1><p>You are <b id="peer">{peer}</b>, over the level <b>{level}</b>.</p>
<p>WebSocket: <b id="socket">not yet</b></p><p>Camera: <b id="camera">not yet</b></p>
<video id="video" autoplay muted width="320" height="240"></video></html>"""
WORKER = """
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {{
  if (new URL(event.request.url).pathname === "/from-worker")
    event.respondWith(new Response("the worker of {name}"));
}});
"""
FOREIGN = """<!doctype html><meta charset="utf-8"><title>elsewhere</title>
<a id="link" href="{url}?visitor=17">{url}</a>
<img src="{url}pixel"><iframe src="{url}frame"></iframe><script src="{url}script"></script>"""


class Site:
    """The web site of an address. paths: what was asked for."""

    def __init__(self, name, colour):
        self.name, self.colour = name, colour
        self.paths = Counter()
        self.app = Starlette(
            routes=[
                Route("/", self.page),
                Route("/sw.js", self.worker),
                Route("/set", self.set_cookies),
                Route("/seen", self.seen, methods=["GET", "POST"]),
                WebSocketRoute("/ws", self.socket),
                Route("/{path:path}", self.nothing),
            ]
        )

    async def page(self, request):
        self.paths["/"] += 1
        headers = request.headers
        return HTMLResponse(
            PAGE.format(
                name=self.name,
                colour=self.colour,
                peer=headers.get("x-psp-peer", "nobody"),
                level=headers["x-psp-level"],
            )
        )

    async def worker(self, request):
        return Response(WORKER.format(name=self.name), media_type="text/javascript")

    async def set_cookies(self, request):
        response = JSONResponse({})
        response.set_cookie("own", self.name)
        response.headers.append("set-cookie", f"tossed={self.name}; Domain=localhost; Path=/")
        return response

    async def seen(self, request):
        return JSONResponse({"cookies": request.cookies, "headers": dict(request.headers)})

    async def socket(self, websocket):
        await websocket.accept()
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await websocket.send_text(f"{websocket.headers['x-psp-peer']} {message['text']}")

    async def nothing(self, request):
        self.paths[request.url.path] += 1
        return Response(status_code=404)


class Elsewhere:
    """The ordinary Internet. asked: whatever reached it from a page of an address."""

    def __init__(self):
        self.asked = []
        self.url = ""
        self.app = Starlette(
            routes=[Route("/foreign", self.foreign), Route("/{path:path}", self.any)]
        )

    async def foreign(self, request):
        return HTMLResponse(FOREIGN.format(url=self.url))

    async def any(self, request):
        if request.url.path not in {"/favicon.ico", "/left"}:
            self.asked.append(request.url.path)
        return Response("reached", headers={"access-control-allow-origin": "*"})
