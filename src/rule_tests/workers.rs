//! Work on all processors; results keep the order of the items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Does `work` for each item on as many threads as there are processors; `on_done` hears of each that is done.
pub(super) fn in_parallel<I: Sync, R: Send>(
    items: &[I],
    work: &(dyn Fn(&I) -> R + Sync),
    on_done: &mut dyn FnMut(&R),
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(items.len().max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel::<(usize, R)>(threads);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((index, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
                {
                    if sender.send((index, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (index, result) in receiver {
            on_done(&result);
            results[index] = Some(result);
        }
    });
    results.into_iter().flatten().collect()
}
