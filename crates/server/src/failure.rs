//! The end that a member asks for: it cannot go on, and says why.

use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Tells when a server has to be stopped, because its member does not go on.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reason: OnceLock<String>,
    has_come: Notify,
}

impl Failure {
    /// The member ends; the first reason counts.
    pub(crate) fn come(&self, reason: String) {
        self.0.reason.get_or_init(|| reason);
        self.0.has_come.notify_waiters();
    }

    /// Whether it has.
    pub(crate) fn has_come(&self) -> bool {
        self.0.reason.get().is_some()
    }

    /// Waits until the server has to be stopped, and gives why. Any runtime will do.
    pub async fn wait(&self) -> String {
        let has_come = self.0.has_come.notified();
        if let Some(reason) = self.0.reason.get() {
            return reason.clone();
        }
        has_come.await;
        self.0.reason.get().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn those_who_wait_and_those_who_ask_later_hear_the_first_reason() {
        let failure = Failure::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut early = pin!(failure.wait());
        assert!(early.as_mut().poll(&mut cx).is_pending());
        failure.come("first".to_owned());
        failure.come("second".to_owned());
        assert_eq!(early.as_mut().poll(&mut cx), Poll::Ready("first".to_owned()));
        assert_eq!(pin!(failure.wait()).poll(&mut cx), Poll::Ready("first".to_owned()));
    }
}
