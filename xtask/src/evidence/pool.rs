//! Does the same for many things, several at a time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::say::progress::Step;

/// What `work` makes of each item, in their order. It is told which of the `workers` it is, and returns
/// a line about the item beside its result.
pub fn each<T: Sync, R: Send + Sync>(
    message: &str,
    items: &[T],
    workers: usize,
    work: impl Fn(usize, &T) -> (R, String) + Sync,
) -> Vec<R> {
    let step = Step::start_count(message, items.len());
    let next = AtomicUsize::new(0);
    let results: Vec<_> = items.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for worker in 0..workers {
            let (step, next, results, work) = (&step, &next, &results, &work);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let (result, line) = work(worker, item);
                    step.one_done(&line);
                    results[index].get_or_init(|| result);
                }
            });
        }
    });
    step.done();
    results.into_iter().map(|result| result.into_inner().expect("each item was taken")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_are_in_order_and_work_goes_on_side_by_side() {
        // Each item waits for the one that another worker has.
        let both = Barrier::new(2);
        let double = |worker, item: &usize| {
            both.wait();
            ((worker, item * 2), String::new())
        };
        let results = each("doubling", &[1, 2, 3, 4], 2, double);
        assert_eq!(results.iter().map(|(_, result)| *result).collect::<Vec<_>>(), [2, 4, 6, 8]);
        assert!(results.iter().any(|(worker, _)| *worker == 1));
    }
}
