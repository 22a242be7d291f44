//! Who waits for what: submissions that are not safe yet, and their senders. Pure.
//!
//! A sender that was not answered in time sends the same body again. While the first is pending the repeat joins it; when
//! it became safe and nobody was there to hear it, the repeat is answered from memory. So an outage of storage does not
//! make senders count everything twice.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Answer, Identity, IntakeError, Pressure, Receipt, Reservation};

/// Submissions pending at a time, over all senders.
const TICKETS_MAX: usize = 10_000;
/// Submissions that became safe unheard, and whose repeat is expected. At the bound the oldest is forgotten.
const UNCLAIMED_MAX: usize = 10_000;

/// Number of a pending submission.
pub(super) type TicketId = u64;
type Waiter = oneshot::Sender<Answer>;

#[derive(Debug)]
struct Ticket {
    identity: Option<Identity>,
    receipt: Receipt,
    waiters: Vec<Waiter>,
    since: Instant,
    /// Given back when the ticket is dropped.
    _reservation: Reservation,
}

/// All pending submissions.
#[derive(Debug, Default)]
pub(super) struct Desk {
    next: TicketId,
    tickets: BTreeMap<TicketId, Ticket>,
    by_identity: FxHashMap<Identity, TicketId>,
    unclaimed: FxHashMap<Identity, Receipt>,
    unclaimed_order: VecDeque<Identity>,
}

impl Desk {
    /// Answers a repeat, or lets it wait with the first. Gives the waiter back when this body is new.
    pub(super) fn join(&mut self, identity: &Identity, waiter: Waiter) -> Option<Waiter> {
        if let Some(receipt) = self.unclaimed.remove(identity) {
            self.unclaimed_order.retain(|known| known != identity);
            // Gone again: it will come back once more, as a new submission, for we cannot wait for ever.
            let _ = waiter.send(Ok(receipt));
            return None;
        }
        let Some(ticket) = self.by_identity.get(identity).and_then(|id| self.tickets.get_mut(id)) else {
            return Some(waiter);
        };
        // Those that went away are forgotten here, so that an outage does not gather them.
        ticket.waiters.retain(|waiter| !waiter.is_closed());
        ticket.waiters.push(waiter);
        None
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.tickets.len() < TICKETS_MAX
    }

    /// A new submission.
    pub(super) fn open(
        &mut self,
        identity: Option<Identity>,
        waiter: Option<Waiter>,
        receipt: Receipt,
        reservation: Reservation,
        now: Instant,
    ) -> TicketId {
        let id = self.next;
        self.next += 1;
        if let Some(identity) = identity {
            self.by_identity.insert(identity, id);
        }
        let waiters = waiter.into_iter().collect();
        self.tickets.insert(id, Ticket { identity, receipt, waiters, since: now, _reservation: reservation });
        id
    }

    /// The next number that [`Desk::open`] will give.
    pub(super) fn next_id(&self) -> TicketId {
        self.next
    }

    /// It is safe: its senders are told.
    pub(super) fn safe(&mut self, id: TicketId) {
        let Some(ticket) = self.remove(id) else { return };
        let mut heard = ticket.waiters.is_empty() && ticket.identity.is_none();
        for waiter in ticket.waiters {
            heard |= waiter.send(Ok(ticket.receipt.clone())).is_ok();
        }
        if let Some(identity) = ticket.identity.filter(|_| !heard) {
            self.remember(identity, ticket.receipt);
        }
    }

    /// It cannot become safe: its senders are told, and a repeat is a new submission.
    pub(super) fn failed(&mut self, id: TicketId, reason: Pressure) {
        for waiter in self.remove(id).into_iter().flat_map(|ticket| ticket.waiters) {
            let _ = waiter.send(Err(IntakeError::pressure(reason)));
        }
    }

    /// Tells everybody who waits.
    pub(super) fn fail_all(&mut self, reason: Pressure) {
        let ids: Vec<TicketId> = self.tickets.keys().copied().collect();
        ids.into_iter().for_each(|id| self.failed(id, reason));
    }

    /// Submissions that are not safe yet, and when the oldest came.
    pub(super) fn pending(&self) -> (usize, Option<Instant>) {
        (self.tickets.len(), self.tickets.values().next().map(|ticket| ticket.since))
    }

    fn remove(&mut self, id: TicketId) -> Option<Ticket> {
        let ticket = self.tickets.remove(&id)?;
        if let Some(identity) = &ticket.identity {
            self.by_identity.remove(identity);
        }
        Some(ticket)
    }

    fn remember(&mut self, identity: Identity, receipt: Receipt) {
        if self.unclaimed_order.len() >= UNCLAIMED_MAX
            && let Some(oldest) = self.unclaimed_order.pop_front()
        {
            self.unclaimed.remove(&oldest);
        }
        self.unclaimed.insert(identity, receipt);
        self.unclaimed_order.push_back(identity);
    }
}
