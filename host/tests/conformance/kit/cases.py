"""What a case is, and the list of all of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .wire import Connection
from .world import Peer


@dataclass(frozen=True)
class Case:
    """What a section of a document demands, and the code that sees whether it is so."""

    document: str
    section: str
    title: str
    run: Callable[[Peer], None]

    @property
    def name(self) -> str:
        return f"{self.document} {self.section} {self.title}"


CASES: list[Case] = []


class Document:
    """Where cases are noted: `@rfc("6.7", "a ping is answered")`."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, section: str, title: str):
        def note(run: Callable[[Peer], None]) -> Callable[[Peer], None]:
            self.add(section, title, run)
            return run
        return note

    def add(self, section: str, title: str, run: Callable[[Peer], None]) -> None:
        case = Case(self.name, section, title, run)
        if any(other.name == case.name for other in CASES):
            raise ValueError(f"two cases are called {case.name}")
        CASES.append(case)

    def breaks(self, codes: str, rows: Iterable[tuple[str, str, Callable[[Connection], Iterable[bytes]]]]) -> None:
        """Cases of what ends a connection with one of the codes: section, title, and what is sent."""
        for section, title, make in rows:
            def run(peer: Peer, make=make) -> None:
                connection = peer.settled()
                connection.send(*make(connection))
                connection.connection_error(*codes.split())
            self.add(section, f"{title}: connection error {' or '.join(codes.split())}", run)

    def resets(self, codes: str, rows: Iterable[tuple[str, str, Callable[[Connection], Iterable[bytes]]]]) -> None:
        """Cases of what ends stream 1 with one of the codes."""
        for section, title, make in rows:
            def run(peer: Peer, make=make) -> None:
                connection = peer.settled()
                connection.send(*make(connection))
                connection.stream_error(1, *codes.split())
            self.add(section, f"{title}: stream error {' or '.join(codes.split())}", run)

    def ignores(self, rows: Iterable[tuple[str, str, Callable[[Connection], Iterable[bytes]]]]) -> None:
        """Cases of what changes nothing: the connection goes on and serves stream 7."""
        for section, title, make in rows:
            def run(peer: Peer, make=make) -> None:
                connection = peer.settled()
                connection.send(*make(connection))
                connection.alive()
                connection.request(7)
                connection.served(7)
            self.add(section, f"{title}: ignored", run)
