"""The API beside the pages."""


class Gateway:
    def __init__(self, pages, api, settings) -> None:
        self.pages = pages

    async def __call__(self, scope, receive, send) -> None:
        await self.pages(scope, receive, send)
