//! A sum of amounts that each expire after the same time: keys with a TTL, idle connections.

use std::collections::VecDeque;

use super::schedule::{Micros, SECOND_US};

/// Sum of live amounts. Amounts of one second expire together, so memory is one number a second of life.
#[derive(Debug)]
pub(super) struct Expiring {
    life_seconds: i64,
    /// Amount by second; the last entry is the second `newest`.
    seconds: VecDeque<u64>,
    newest: i64,
    total: u64,
}

impl Expiring {
    pub(super) fn new(life_us: Micros) -> Self {
        Self { life_seconds: (life_us / SECOND_US).max(1), seconds: VecDeque::new(), newest: i64::MIN, total: 0 }
    }

    pub(super) fn add(&mut self, now_us: Micros, amount: u64) {
        self.advance(now_us);
        if let Some(last) = self.seconds.back_mut() {
            *last += amount;
            self.total += amount;
        }
    }

    pub(super) fn total(&mut self, now_us: Micros) -> u64 {
        self.advance(now_us);
        self.total
    }

    pub(super) fn clear(&mut self) {
        self.seconds.clear();
        self.newest = i64::MIN;
        self.total = 0;
    }

    fn advance(&mut self, now_us: Micros) {
        let second = now_us.div_euclid(SECOND_US);
        if self.seconds.is_empty() || second.saturating_sub(self.newest) >= self.life_seconds {
            self.seconds.clear();
            self.total = 0;
            self.seconds.push_back(0);
            self.newest = second;
        }
        while self.newest < second {
            self.seconds.push_back(0);
            self.newest += 1;
            if self.seconds.len() as i64 > self.life_seconds {
                self.total -= self.seconds.pop_front().unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_live_as_long_as_promised() {
        let mut expiring = Expiring::new(3 * SECOND_US);
        expiring.add(0, 5);
        expiring.add(SECOND_US, 7);
        assert_eq!(expiring.total(2 * SECOND_US + 1), 12);
        assert_eq!(expiring.total(3 * SECOND_US), 7);
        assert_eq!(expiring.total(4 * SECOND_US), 0);
        expiring.add(1_000_000 * SECOND_US, 1);
        assert_eq!(expiring.total(1_000_000 * SECOND_US), 1);
        assert!(expiring.seconds.len() <= 3);
    }
}
