//! What a batch is.

/// A number of operations of one kind, ready to run.
pub(crate) trait Batch {
    /// Performs them; gives anything that depends on what they did. Called once.
    fn run(&mut self) -> usize;

    /// Panics unless they did what they should: an error is quickly answered, and must not count
    /// as a fast success.
    fn check(&mut self);
}

/// A batch by its name.
pub(crate) struct Benchmark {
    /// As the baseline has it.
    pub(crate) name: &'static str,
    /// How many operations the instructions are divided by.
    pub(crate) operations: usize,
    /// Makes it ready.
    pub(crate) set_up: fn() -> Box<dyn Batch>,
}
