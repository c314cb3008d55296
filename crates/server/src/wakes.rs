//! Waking many connections of one worker with one signal.
//!
//! A task that another thread wakes costs a system call, and so did each reply of a batch. Whoever
//! answers leaves the wakers here and signals once; a task of the worker's own thread does the
//! waking, which costs next to nothing there. Guarantee: a waker that was left is woken, whatever
//! else is left meanwhile.

use crate::sync::lock;
use std::sync::Mutex;
use std::task::Waker;
use tokio::sync::Notify;

/// The wakers that wait for one worker's thread.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    waiting: Mutex<Vec<Waker>>,
    signal: Notify,
}

impl Wakes {
    /// Leaves a waker. Says whether it is the first: then somebody has to [`Wakes::signal`].
    pub(crate) fn leave(&self, waker: Waker) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.push(waker);
        waiting.len() == 1
    }

    /// Tells the worker's thread.
    pub(crate) fn signal(&self) {
        self.signal.notify_one();
    }

    /// Wakes whoever was left, for ever. One task of the worker's thread runs it.
    pub(crate) async fn run(&self) {
        let mut woken = Vec::new();
        loop {
            self.signal.notified().await;
            std::mem::swap(&mut *lock(&self.waiting), &mut woken);
            woken.drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Wakes;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use tokio::runtime::Builder;
    use tokio::task::yield_now;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn one_signal_wakes_all_that_were_left_before_it() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let (wakes, count) = (Arc::new(Wakes::default()), Arc::new(Count::default()));
        let waker = || Waker::from(Arc::clone(&count));
        runtime.block_on(async {
            let for_task = Arc::clone(&wakes);
            tokio::spawn(async move { for_task.run().await });
            for expected in [3, 6] {
                assert!(wakes.leave(waker()));
                assert!(!wakes.leave(waker()));
                assert!(!wakes.leave(waker()));
                yield_now().await;
                assert_eq!(count.0.load(Ordering::SeqCst), expected - 3, "nobody has signalled");
                wakes.signal();
                while count.0.load(Ordering::SeqCst) < expected {
                    yield_now().await;
                }
            }
        });
    }
}
