//! How many connections each address has, so that one of them cannot take all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections by address; as many addresses as connections at most.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place among those of its address.
#[derive(Debug)]
pub(super) struct PeerPlace {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Peers {
    /// A place for one more connection; absent when the address has `most` already.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<PeerPlace> {
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: Arc::clone(self), address })
    }

    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_so_many_connections_and_leaves_nothing_behind() {
        let peers = Arc::<Peers>::default();
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let (first, second) = (peers.take(one, 2).unwrap(), peers.take(one, 2).unwrap());
        assert!(peers.take(one, 2).is_none());
        let third = peers.take(other, 2).unwrap();
        drop(first);
        let fourth = peers.take(one, 2).unwrap();
        drop((second, third, fourth));
        assert!(peers.lock().is_empty());
    }
}
