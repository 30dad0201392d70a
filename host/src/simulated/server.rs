//! A server of HTTP/1 that follows a script drawn anew for each request: when it answers, how its answer is framed, and
//! where it dies, falls silent or talks nonsense.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::client::write_chunks;
use super::ledger::{Answer, Ledger, body};
use super::network::End;
use super::policies;
use super::reader::{Broken, Framing, Head, Reader};

/// Longer than a timeout of the program.
const STALL: Duration = Duration::from_millis(2_700);

/// A server's side of a connection.
pub(super) struct Server {
    pub(super) ledger: Rc<Ledger>,
    pub(super) name: usize,
    pub(super) end: End,
    /// Whether it misbehaves.
    pub(super) wild: bool,
}

/// What it does with a request.
#[derive(Debug)]
struct Script {
    /// Before it looks at the body; else behind it.
    early: bool,
    think_ms: u64,
    bytes: Vec<u8>,
    /// What goes wrong, and at which byte of the answer.
    trouble: Option<(usize, Trouble)>,
    closes: bool,
    /// Whether it hears the request out before it closes.
    patient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Finish,
    Reset,
    Stall,
}

impl Server {
    /// Serves until the connection ends.
    pub(super) async fn run(self, chance: &Chance) {
        let mut reader = Reader::default();
        if self.wild && chance.one_in(30) {
            self.ledger.trace(format_args!("server {} hangs up", self.name));
            return if chance.one_in(2) { self.end.reset() } else { self.end.close() };
        }
        loop {
            let patience = if self.wild && chance.one_in(6) { chance.between(1, 400) } else { 100_000 };
            let head = match timeout(Duration::from_millis(patience as u64), reader.head(&self.end)).await {
                Ok(Ok(head)) => head,
                Ok(Err(Broken::Malformed(what))) => {
                    return self.ledger.violation(format!("server {} gets {what}", self.name));
                }
                Ok(Err(_)) | Err(_) => return,
            };
            if !self.exchange(&mut reader, head, chance).await {
                return;
            }
        }
    }

    /// Serves a request; says whether another may follow.
    async fn exchange(&self, reader: &mut Reader, head: Head, chance: &Chance) -> bool {
        let mut words = head.first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some((number, query)) = policies::number(target) else {
            self.ledger.violation(format!("server {} gets {:?}", self.name, head.first));
            return false;
        };
        self.ledger.head_at_server(self.name, number, method);
        policies::request_arrives(&self.ledger, number, query, |name| head.all(name));
        let framing = match head.framing() {
            Ok(framing) => framing.unwrap_or(Framing::Length(0)),
            Err(what) => {
                self.ledger.violation(format!("server {} cannot read {number}: {what:?}", self.name));
                return false;
            }
        };
        let script = self.script(number, method, head.has("expect", "100-continue"), chance);
        self.ledger.trace(format_args!(
            "server {} answers {number}: early {}, {:?}, closes {}",
            self.name, script.early, script.trouble, script.closes
        ));
        let mut length = 0;
        let taking = async {
            let taken = reader.body(&self.end, framing, Some(number), &mut length).await;
            match &taken {
                Ok(()) => self.ledger.whole_at_server(self.name, number, length),
                Err(Broken::Malformed(what)) => {
                    self.ledger.violation(format!("server {} cannot read {number}: {what}", self.name));
                }
                Err(_) => {}
            }
            taken.is_ok()
        };
        if !script.early {
            return taking.await && self.answer(&script).await;
        }
        if !script.patient {
            return self.answer(&script).await && taking.await;
        }
        let (taken, stays) = tokio::join!(taking, self.answer(&script));
        taken && stays
    }

    /// Answers; says whether another request may follow.
    async fn answer(&self, script: &Script) -> bool {
        sleep(Duration::from_millis(script.think_ms)).await;
        let (at, trouble) = match script.trouble {
            Some((at, trouble)) => (at, Some(trouble)),
            None => (script.bytes.len(), None),
        };
        if self.end.put(&script.bytes[..at]).await.is_err() {
            return false;
        }
        match trouble {
            Some(Trouble::Reset) => self.end.reset(),
            Some(Trouble::Finish) => self.end.finish(),
            Some(Trouble::Stall) => {
                sleep(STALL).await;
                return self.end.put(&script.bytes[at..]).await.is_ok() && !script.closes;
            }
            None if script.closes => self.end.finish(),
            None => {}
        }
        trouble.is_none() && !script.closes
    }

    fn script(&self, number: usize, method: &str, expects: bool, chance: &Chance) -> Script {
        let answer = self.ledger.number();
        let status = chance.pick(&[200, 200, 200, 200, 201, 204, 304, 404, 500]);
        let bodiless = method == "HEAD" || status == 204 || status == 304;
        let length = chance.pick(&[0, 1, 40, 900, 5_000, 40_000]);
        let length = if length > 1 { chance.between(1, length) } else { length };
        let framing = chance.pick(&["length", "length", "length", "chunked", "close"]);
        let lines = policies::server_lines(&self.ledger, chance);
        let mut closes = framing == "close" && !bodiless || chance.one_in(8);
        let mut bytes = Vec::new();
        if expects && chance.one_in(2) {
            bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if chance.one_in(12) {
            bytes.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n");
        }
        bytes.extend_from_slice(
            format!("HTTP/1.1 {status} Thus\r\nx-of: {number}\r\nx-answer: {answer}\r\n").as_bytes(),
        );
        for (name, value) in &lines {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if closes && (framing != "close" || chance.one_in(2)) {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        match framing {
            "length" if status != 204 => {
                bytes.extend_from_slice(format!("content-length: {length}\r\n").as_bytes())
            }
            "chunked" if status != 204 => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            _ => {}
        }
        bytes.extend_from_slice(b"\r\n");
        let head = bytes.len();
        let body = body(answer, length);
        match framing {
            _ if bodiless => {}
            "chunked" => write_chunks(&body, answer, chance, &mut bytes),
            _ => bytes.extend_from_slice(&body),
        }
        let has_key = lines.len() > 1;
        let mut whole = Answer { request: number, status, length, is_whole: true, has_key };
        if bodiless {
            whole.length = 0;
        }
        let mut trouble = None;
        if self.wild && chance.one_in(3) {
            let at = chance.below(bytes.len() + 1);
            match chance.below(6) {
                0 => {
                    self.talk_nonsense(framing == "chunked" && !bodiless, head, &mut bytes, chance);
                    whole.is_whole = false;
                }
                1 if !bodiless
                    && framing == "length"
                    && self.end.is_immediate()
                    && bytes.len() + 200 < self.end.capacity() =>
                {
                    // What nobody asked for is nobody's.
                    bytes.extend_from_slice(
                        b"HTTP/1.1 200 Poison\r\nx-answer: 0\r\ncontent-length: 4\r\n\r\nevil",
                    );
                }
                2 => trouble = Some((at, Trouble::Stall)),
                kind => {
                    trouble = Some((at, if kind == 3 { Trouble::Finish } else { Trouble::Reset }));
                    closes = true;
                    whole.is_whole = false;
                    if kind == 3 && at >= head && framing == "close" && !bodiless {
                        // Nobody can tell that from an end.
                        (whole.is_whole, whole.length) = (true, at - head);
                    }
                    let ends_by_itself = framing != "close" || bodiless;
                    if at == bytes.len() && ends_by_itself {
                        whole.is_whole = true;
                    }
                }
            }
        }
        self.ledger.add_answer(answer, whole);
        // Who closes on a request that it has not read may take its answer back with it.
        let (early, patient) = (chance.one_in(5), !self.wild || chance.one_in(2));
        let think_ms = chance.pick(&[0, 0, 0, 1, 40, 300]);
        Script { early, think_ms, bytes, trouble, closes, patient }
    }

    /// Makes an answer into none, in its head or in its chunks.
    fn talk_nonsense(&self, chunked: bool, head: usize, bytes: &mut Vec<u8>, chance: &Chance) {
        if chunked && bytes.len() > head + 5 && chance.one_in(2) {
            bytes.splice(head..head + 1, *b"+zz");
            return;
        }
        let last = bytes[..head - 2].windows(4).rposition(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        let lines: [&[u8]; 5] = [
            b"content-length: 3\r\ncontent-length: 4\r\n",
            b"content-length: -1\r\n",
            b"transfer-encoding: gzip, chunked, gzip\r\n",
            b"no colon\r\n",
            b"x-nul: a\0b\r\n",
        ];
        if chance.one_in(3) {
            bytes.splice(last..last + 4, *b"HTTQ");
            return;
        }
        let line = chance.pick(&lines);
        let at = bytes[last..].windows(2).position(|two| two == b"\r\n").map_or(head, |at| last + at + 2);
        bytes.splice(at..at, line.iter().copied());
    }
}
