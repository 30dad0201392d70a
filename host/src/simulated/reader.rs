//! HTTP/1.1 as clients and servers of a simulated world read it: word for word, and without a line of the code under
//! test.

use std::io;

use super::ledger::byte;
use super::network::End;

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// It ended.
    Ended,
    /// It broke.
    #[allow(dead_code)] // It is shown.
    Failed(io::ErrorKind),
    /// It is not HTTP.
    Malformed(String),
}

/// A head.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) first: String,
    lines: Vec<(String, String)>,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    /// To the connection's end.
    Close,
}

/// What comes on a connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    held: Vec<u8>,
    /// How much has been used, in all.
    pub(super) used: usize,
}

impl Head {
    /// The value of the one line of this name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// The values of the lines of this name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let lines = self.lines.iter().filter(|(own, _)| own == name);
        lines.map(|(_, value)| value.clone()).collect()
    }

    /// The number in a line.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.value(name)?.parse().ok()
    }

    /// Whether a list has this member.
    pub(super) fn has(&self, name: &str, member: &str) -> bool {
        let lists = self.lines.iter().filter(|(own, _)| own == name);
        lists.flat_map(|(_, value)| value.split(',')).any(|own| own.trim().eq_ignore_ascii_case(member))
    }

    /// How long the body is; `None`: the head does not say.
    pub(super) fn framing(&self) -> Result<Option<Framing>, Broken> {
        let all = |name: &str| self.lines.iter().filter(|(own, _)| own == name).count();
        match (all("content-length"), all("transfer-encoding")) {
            (0, 0) => Ok(None),
            (1, 0) => match self.number("content-length") {
                Some(length) => Ok(Some(Framing::Length(length))),
                None => Err(Broken::Malformed("an invalid length".into())),
            },
            (0, 1) if self.value("transfer-encoding") == Some("chunked") => Ok(Some(Framing::Chunked)),
            _ => Err(Broken::Malformed(format!("a framing of two minds: {:?}", self.lines))),
        }
    }
}

impl Reader {
    /// Whether nothing has been read that is not used.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Reads more.
    pub(super) async fn more(&mut self, from: &End) -> Result<(), Broken> {
        let mut space = [0; 4096];
        match from.take(&mut space).await {
            Ok(0) => Err(Broken::Ended),
            Ok(count) => {
                self.held.extend_from_slice(&space[..count]);
                Ok(())
            }
            Err(error) => Err(Broken::Failed(error.kind())),
        }
    }

    fn gone(&mut self, count: usize) -> Vec<u8> {
        self.used += count;
        self.held.drain(..count).collect()
    }

    /// A head; what came of it stays unused where it is not whole.
    pub(super) async fn head(&mut self, from: &End) -> Result<Head, Broken> {
        loop {
            if let Some(at) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                let bytes = self.gone(at + 4);
                return head(&bytes[..at]).map_err(Broken::Malformed);
            }
            self.more(from).await?;
        }
    }

    /// A line of a chunked body.
    async fn line(&mut self, from: &End) -> Result<String, Broken> {
        loop {
            if let Some(at) = self.held.windows(2).position(|two| two == b"\r\n") {
                let bytes = self.gone(at + 2);
                return Ok(String::from_utf8_lossy(&bytes[..at]).into_owned());
            }
            self.more(from).await?;
        }
    }

    /// A body of this number, whose length goes to `length` as it grows.
    pub(super) async fn body(
        &mut self,
        from: &End,
        framing: Framing,
        number: Option<usize>,
        length: &mut usize,
    ) -> Result<(), Broken> {
        match framing {
            Framing::Length(all) => self.piece(from, all, number, length).await,
            Framing::Close => loop {
                match self.piece(from, usize::MAX - *length, number, length).await {
                    Err(Broken::Ended) => return Ok(()),
                    other => other?,
                }
            },
            Framing::Chunked => loop {
                let line = self.line(from).await?;
                let size = line.split(';').next().unwrap_or_default();
                let size = usize::from_str_radix(size, 16)
                    .map_err(|_| Broken::Malformed(format!("a chunk of {line:?}")))?;
                if size == 0 {
                    return self.trailers(from, number).await;
                }
                self.piece(from, size, number, length).await?;
                let end = self.line(from).await?;
                if !end.is_empty() {
                    return Err(Broken::Malformed(format!("a chunk that does not end: {end:?}")));
                }
            },
        }
    }

    async fn trailers(&mut self, from: &End, number: Option<usize>) -> Result<(), Broken> {
        loop {
            let line = self.line(from).await?;
            if line.is_empty() {
                return Ok(());
            }
            if number.is_some_and(|number| line != format!("x-trailer: {number}")) {
                return Err(Broken::Malformed(format!("a trailer of another: {line:?}")));
            }
        }
    }

    async fn piece(
        &mut self,
        from: &End,
        mut left: usize,
        number: Option<usize>,
        length: &mut usize,
    ) -> Result<(), Broken> {
        while left > 0 {
            if self.held.is_empty() {
                self.more(from).await?;
            }
            let count = self.held.len().min(left);
            for got in self.gone(count) {
                if number.is_some_and(|number| got != byte(number, *length)) {
                    return Err(Broken::Malformed(format!("byte {length} of a body is another's")));
                }
                *length += 1;
            }
            left -= count;
        }
        Ok(())
    }
}

fn head(bytes: &[u8]) -> Result<Head, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a head that is no text".to_owned())?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let lines = lines
        .map(|line| {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("a line without a colon: {line:?}"))?;
            let is_token =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !is_token || value.contains(['\r', '\n', '\0']) {
                return Err(format!("an invalid line: {line:?}"));
            }
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect::<Result<_, String>>()?;
    Ok(Head { first, lines })
}
