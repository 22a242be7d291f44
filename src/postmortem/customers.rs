//! Customers to contact, as data and as CSV.

use serde::{Deserialize, Serialize};

use super::Dossier;
use super::text::cell;
use crate::detect::rounded;
use crate::model::Timestamp;

/// Rows of customers that are held; the heaviest come first from storage.
pub const CUSTOMERS_HELD_MAX: usize = 10_000;

/// Columns of the CSV.
const HEADER: [&str; 11] = [
    "subscription",
    "client",
    "client_version",
    "role",
    "requests",
    "failures",
    "repeats",
    "attempts_per_request",
    "share",
    "since",
    "until",
];

/// What a customer has to do with an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its requests are of the cause.
    Cause,
    /// Its requests failed.
    Affected,
}

impl Role {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Affected => "affected",
        }
    }
}

/// What a customer did with one client version while an incident lasted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTraffic {
    /// Who is billed.
    pub subscription: String,
    /// Its client; empty where it is not known.
    pub client: String,
    /// Version of the client; likewise.
    pub client_version: String,
    /// Whether these requests are of the cause.
    pub role: Role,
    /// Requests.
    pub requests: u64,
    /// Of these, answered 5xx or 429.
    pub failures: u64,
    /// Of these, repeats.
    pub resends: u64,
    /// First minute of it within the incident.
    pub since: Timestamp,
    /// Last minute of it.
    pub until: Timestamp,
}

impl CustomerTraffic {
    /// Attempts for each logical request; absent when all of them are repeats of what came before.
    #[must_use]
    pub fn attempts_per_request(&self) -> Option<f64> {
        let first = self.requests.saturating_sub(self.resends);
        (first > 0).then(|| rounded(self.requests as f64 / first as f64))
    }
}

impl Dossier {
    /// Customers of a role with their share of the harm, the heaviest first. The harm of a cause is its repeats, or all its
    /// requests where it does not repeat; to be affected is to have failures.
    #[must_use]
    pub fn customers_of(&self, role: Role) -> Vec<(&CustomerTraffic, f64)> {
        let all = self.history.as_ref().map(|history| history.customers.as_slice()).unwrap_or_default();
        let of_role = || all.iter().filter(|customer| customer.role == role);
        let repeats = of_role().any(|customer| customer.resends > 0);
        let harm = |customer: &CustomerTraffic| match role {
            Role::Affected => customer.failures,
            Role::Cause if repeats => customer.resends,
            Role::Cause => customer.requests,
        };
        let total: u64 = of_role().map(harm).sum();
        let share = |customer| rounded(harm(customer) as f64 / total.max(1) as f64);
        let felt = |customer: &&CustomerTraffic| role == Role::Cause || customer.failures > 0;
        let mut customers: Vec<(&CustomerTraffic, f64)> =
            of_role().filter(felt).map(|customer| (customer, share(customer))).collect();
        let key = |customer: &CustomerTraffic| {
            (customer.subscription.clone(), customer.client.clone(), customer.client_version.clone())
        };
        customers.sort_by(|(a, _), (b, _)| {
            (harm(b), b.requests).cmp(&(harm(a), a.requests)).then_with(|| key(a).cmp(&key(b)))
        });
        customers
    }
}

/// Customers to contact as CSV (RFC 4180), the heaviest first: those of the cause, and with `affected`, or where the cause
/// is none of customers, those whose requests failed. Without history there is what the report names: subscription and
/// share. A cell that a spreadsheet would take for a formula begins with an apostrophe.
#[must_use]
pub fn customers_csv(dossier: &Dossier, affected: bool) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut rows: Vec<[String; 11]> = vec![HEADER.map(str::to_owned)];
    if dossier.history.is_some() {
        let causing = dossier.customers_of(Role::Cause);
        let others = if affected || causing.is_empty() { dossier.customers_of(Role::Affected) } else { Vec::new() };
        rows.extend(causing.into_iter().chain(others).map(|(customer, share)| row(customer, share)));
    } else {
        rows.extend(dossier.record.customers.iter().map(|customer| {
            let mut row = HEADER.map(|_| String::new());
            row[0] = cell(&customer.subscription);
            row[3] = Role::Cause.as_str().to_owned();
            row[8] = customer.share.to_string();
            row
        }));
    }
    for row in rows {
        // Writing to memory does not fail, and all rows have as many fields.
        let _ = writer.write_record(row);
    }
    writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn row(customer: &CustomerTraffic, share: f64) -> [String; 11] {
    [
        cell(&customer.subscription),
        cell(&customer.client),
        cell(&customer.client_version),
        customer.role.as_str().to_owned(),
        customer.requests.to_string(),
        customer.failures.to_string(),
        customer.resends.to_string(),
        customer.attempts_per_request().map(|attempts| attempts.to_string()).unwrap_or_default(),
        share.to_string(),
        customer.since.to_string(),
        customer.until.to_string(),
    ]
}
