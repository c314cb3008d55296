//! A request under way: a future of its answer.

use crate::handle::{Command, WeakHandle};
use crate::{Error, Watch};
use client_core::{Ctx, Reply};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// A request that is queued or on its way; its answer when awaited.
///
/// Dropping it cancels the interest in the answer. What was not sent then never is.
///
/// # Panics
/// If it is polled again after it gave its answer.
#[must_use = "dropping a call cancels it"]
pub struct Call<T> {
    answer: Answer,
    /// The watch that the request sets; given out with the answer.
    watch: Option<Watch>,
    convert: fn(Reply, Option<Watch>) -> Option<T>,
}

type Receiver = oneshot::Receiver<Result<Reply, client_core::Error>>;

enum Answer {
    Failed(Error),
    Waiting { ctx: Ctx, receiver: Receiver, handle: WeakHandle },
    Taken,
}

impl<T> Call<T> {
    pub(crate) fn failed(error: Error, convert: fn(Reply, Option<Watch>) -> Option<T>) -> Call<T> {
        Call { answer: Answer::Failed(error), watch: None, convert }
    }

    pub(crate) fn waiting(
        ctx: Ctx,
        receiver: Receiver,
        handle: WeakHandle,
        watch: Option<Watch>,
        convert: fn(Reply, Option<Watch>) -> Option<T>,
    ) -> Call<T> {
        Call { answer: Answer::Waiting { ctx, receiver, handle }, watch, convert }
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome = match &mut this.answer {
            Answer::Waiting { receiver, handle, .. } => match ready!(Pin::new(receiver).poll(cx)) {
                Ok(outcome) => outcome.map_err(Error::from),
                Err(_) => Err(handle.final_error()),
            },
            Answer::Failed(error) => Err(error.clone()),
            Answer::Taken => panic!("a call is polled after it gave its answer"),
        };
        this.answer = Answer::Taken;
        let watch = this.watch.take();
        Poll::Ready(outcome.and_then(|reply| (this.convert)(reply, watch).ok_or(Error::BadReply)))
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        if let Answer::Waiting { ctx, handle, .. } = &self.answer {
            handle.tell(Command::Cancel(*ctx));
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.answer {
            Answer::Failed(_) => "Call(failed)",
            Answer::Waiting { .. } => "Call(waiting)",
            Answer::Taken => "Call(done)",
        })
    }
}
