//! A check's request over HTTP/2, on a connection of its own.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::{Finding, HeadLimits, Judge};
use crate::config::model::HttpCheck;
use crate::upstream;

/// hyper's tasks for one check; they end with it.
#[derive(Debug, Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<Task: Future<Output = ()> + Send + 'static> Executor<Task> for Tasks {
    fn execute(&self, task: Task) {
        let task = tokio::spawn(task).abort_handle();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

/// Ends the tasks when this is dropped.
struct Ending(Tasks);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut tasks = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.drain(..).for_each(|task| task.abort());
    }
}

/// Sends the request, and judges the answer's head.
pub(super) async fn exchange<S>(stream: S, http: &HttpCheck, limits: HeadLimits) -> Finding
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(request) = request(http) else {
        return Finding::SocketError("no such request in HTTP/2".into());
    };
    let tasks = Tasks::default();
    let _ending = Ending(tasks.clone());
    let mut builder = http2::Builder::new(tasks);
    builder.max_header_list_size(u32::try_from(limits.bytes).unwrap_or(u32::MAX));
    let opened = builder.handshake(TokioIo::new(stream)).await;
    let Ok((mut sender, connection)) = opened else { return Finding::Layer7Invalid("not HTTP/2") };
    let asked = sender.send_request(request);
    let answered = tokio::select! {
        biased;
        answered = asked => answered,
        _ = connection => return Finding::Layer7Invalid("not HTTP/2"),
    };
    match answered {
        Ok(response) => {
            // As a request's answer is read.
            let mut text = upstream::as_http1(&response.into_parts().0, http.method == "HEAD");
            let finding = Judge::new(http, limits).look(&mut text);
            finding.unwrap_or(Finding::Layer7Invalid("head incomplete"))
        }
        Err(_) => Finding::Layer7Invalid("not HTTP/2"),
    }
}

/// The request, with no header that was not asked for.
fn request(http: &HttpCheck) -> Option<Request<Empty<Bytes>>> {
    let mut host = "localhost";
    let mut request = Request::builder().method(http.method.as_str());
    for (name, value) in &http.headers {
        match &**name {
            "host" => host = value,
            "connection" => {}
            _ => request = request.header(&**name, &**value),
        }
    }
    request.uri(format!("http://{host}{}", http.uri)).body(Empty::new()).ok()
}
