//! Where limits meet requests, and what those get that are over one.

use super::edits::LineEdit;
use super::ruled::facts;
use super::{Exchange, Next};
use crate::failure::Page;
use crate::limit::{Limits, Refusal};

impl<'a> Exchange<'a> {
    /// Counts the request; its response is to carry what the limits have to say.
    pub(super) fn count(&mut self, limits: &Limits) -> Result<(), Box<Refusal>> {
        let mut facts = facts(self.client);
        if limits.needs_local() {
            facts.local = self.client.stream.local();
        }
        let lines = limits.request(&facts, self.story.came.head)?;
        self.edits.response.extend(lines.into_iter().map(|(name, value)| LineEdit::Add(name.into(), value)));
        Ok(())
    }

    /// Answers a request that is over a limit.
    pub(super) async fn turn_away(&mut self, refusal: &Refusal) -> Next {
        self.story.ended_by(b'P', b'R');
        // A body that comes with the request, and is small, is here already: the connection can stay then.
        let whole = self.upload.gather(&mut self.client.buffer).is_ok() && self.upload.is_read();
        let page = self.page(refusal.status);
        let connection = self.connection_after(whole && !page.is_silence());
        let head_only = self.client.scratch.request.method() == b"HEAD";
        let answer = page.response_with(connection, head_only, &refusal.lines);
        self.send_own(page.status(), &answer, connection).await
    }

    /// The page for a status: the backend's, once the request has one, the frontend's, or the built-in one.
    pub(super) fn find_page(&self, status: u16) -> Option<&'a Page> {
        let backend = self.story.admitted.then_some(self.backend);
        let own = backend.and_then(|backend| backend.pages.find(status));
        own.or_else(|| self.frontend.shared.pages.find(status)).or_else(|| Page::find(status))
    }

    /// The page for a failure's status.
    pub(super) fn page(&self, status: u16) -> &'a Page {
        self.find_page(status).unwrap_or_else(|| Page::of(status))
    }
}
