//! Timing that a busy machine disturbs little: short batches of each way in turn, and each batch
//! compared with the one of libc in the same round.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::ways::{Operation, WAYS};

const ROUNDS: usize = 201;
/// A quarter of a millisecond, more or less a millisecond; short beside a scheduler's slice.
const CALLS: u32 = 1000;

/// Prints a line for each operation and way: the medians of its time a call in nanoseconds, and of
/// the ratio to libc's in the same round.
///
/// Where the stack and the code lie makes a difference of a few per cent that stays the same for
/// one process, so what counts is the median of many processes.
pub fn run(stream: &TcpStream) {
    for operation in Operation::ALL {
        let mut times = vec![Vec::with_capacity(ROUNDS); WAYS.len()];
        for round in 0..ROUNDS + 1 {
            // Another one goes first each time.
            for n in 0..WAYS.len() {
                let way = (n + round) % WAYS.len();
                let started = Instant::now();
                WAYS[way].calls(operation)(stream, CALLS);
                let time = started.elapsed();
                // The first round warms up.
                if round > 0 {
                    times[way].push(nanoseconds(time));
                }
            }
        }
        for (way, own) in WAYS.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, raw)| own / raw);
            let (ratio, time) = (median(ratios.collect()), median(own.clone()));
            println!("{}\t{}\t{time:.1}\t{ratio:.5}", operation.name(), way.name);
        }
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
