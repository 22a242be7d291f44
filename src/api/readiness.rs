//! Whether the service can do its work, component by component, with the moment each last changed.

use tokio::sync::watch;

use crate::model::Timestamp;

/// What the service is made of, as far as readiness goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Reading from Kafka.
    Kafka,
    /// Windows, detectors and alert states.
    Detection,
    /// Writing to ClickHouse.
    Clickhouse,
    /// Telling receivers.
    Notify,
    /// Taking records over HTTP.
    Intake,
    /// Looking at other systems.
    Probes,
    /// The rules in force are those of the files.
    Rules,
    /// Making pages of alerts, and remembering them.
    Paging,
    /// Asking ClickHouse for rules.
    RuleQueries,
    /// What the public is told.
    Status,
}

impl Component {
    /// Every component, in the order shown.
    pub const ALL: [Self; 10] = [
        Self::Kafka,
        Self::Detection,
        Self::Clickhouse,
        Self::Notify,
        Self::Intake,
        Self::Probes,
        Self::Rules,
        Self::Paging,
        Self::RuleQueries,
        Self::Status,
    ];

    /// Without these there is no detection; without the others it goes on.
    fn needed_to_detect(self) -> bool {
        matches!(self, Self::Kafka | Self::Detection)
    }
}

/// State of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentStatus {
    /// Has not worked yet: Kafka has assigned no partition, ClickHouse has not answered.
    Starting,
    /// Works.
    Ok,
    /// Works in part: slow, retrying, brokers away for the moment.
    Degraded,
    /// Does not work.
    Down,
    /// Is not configured, so nothing is missing.
    Off,
}

/// A component's line in `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ComponentReport {
    /// Which.
    pub name: Component,
    /// State.
    pub status: ComponentStatus,
    /// When the state last changed (wall clock).
    pub since: Timestamp,
    /// One line for a person; empty when there is nothing to say.
    pub detail: String,
}

/// State of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Every component works.
    Ok,
    /// Detection works, something else does not.
    Degraded,
    /// No detection.
    Unavailable,
}

/// All components at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    components: [ComponentReport; Component::ALL.len()],
}

impl Readiness {
    /// Every component is starting.
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        let report =
            |name| ComponentReport { name, status: ComponentStatus::Starting, since: now, detail: String::new() };
        Self { components: Component::ALL.map(report) }
    }

    /// Every component's line, in a fixed order.
    #[must_use]
    pub fn components(&self) -> &[ComponentReport] {
        &self.components
    }

    /// The whole: unavailable while Kafka or detection is starting or down, else degraded while anything is not ok.
    /// ClickHouse may be down: alerts do not wait for it.
    #[must_use]
    pub fn overall(&self) -> Overall {
        let stopped = |report: &ComponentReport| {
            report.name.needed_to_detect() && matches!(report.status, ComponentStatus::Starting | ComponentStatus::Down)
        };
        if self.components.iter().any(stopped) {
            Overall::Unavailable
        } else if !self.components.iter().all(|r| matches!(r.status, ComponentStatus::Ok | ComponentStatus::Off)) {
            Overall::Degraded
        } else {
            Overall::Ok
        }
    }

    /// Sets one component; `since` moves only when the status changes. Tells whether anything changed.
    fn set(&mut self, component: Component, status: ComponentStatus, detail: &str, now: Timestamp) -> bool {
        let report = &mut self.components[component as usize];
        let changed = report.status != status;
        if changed {
            report.status = status;
            report.since = now;
        }
        let reworded = report.detail != detail;
        if reworded {
            detail.clone_into(&mut report.detail);
        }
        changed || reworded
    }
}

/// Where tasks report their component. Shared by `Arc`.
#[derive(Debug)]
pub struct Health {
    sender: watch::Sender<Readiness>,
}

impl Health {
    /// Every component is starting.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { sender: watch::Sender::new(Readiness::starting(now)) }
    }

    /// Reports a component; a change of status is logged.
    pub fn set(&self, component: Component, status: ComponentStatus, detail: &str, now: Timestamp) {
        let mut before = status;
        self.sender.send_if_modified(|readiness| {
            before = readiness.components[component as usize].status;
            readiness.set(component, status, detail, now)
        });
        if before != status {
            tracing::info!(?component, ?before, ?status, detail, "component changed");
        }
    }

    /// Follows the readiness.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Readiness> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_detection_needs_makes_the_service_unavailable() {
        let mut readiness = Readiness::starting(Timestamp::from_millis(0));
        let now = Timestamp::from_millis(1_000);
        assert_eq!(readiness.overall(), Overall::Unavailable);
        readiness.set(Component::Detection, ComponentStatus::Ok, "", now);
        assert_eq!(readiness.overall(), Overall::Unavailable, "no partition assigned yet");
        readiness.set(Component::Kafka, ComponentStatus::Ok, "", now);
        assert_eq!(readiness.overall(), Overall::Degraded);
        readiness.set(Component::Notify, ComponentStatus::Ok, "", now);
        readiness.set(Component::Intake, ComponentStatus::Off, "", now);
        readiness.set(Component::Probes, ComponentStatus::Off, "", now);
        readiness.set(Component::Rules, ComponentStatus::Ok, "", now);
        readiness.set(Component::Paging, ComponentStatus::Ok, "", now);
        readiness.set(Component::RuleQueries, ComponentStatus::Off, "", now);
        readiness.set(Component::Status, ComponentStatus::Off, "", now);
        readiness.set(Component::Clickhouse, ComponentStatus::Down, "connection refused", now);
        assert_eq!(readiness.overall(), Overall::Degraded);
        readiness.set(Component::Clickhouse, ComponentStatus::Ok, "", now);
        assert_eq!(readiness.overall(), Overall::Ok);
        readiness.set(Component::Detection, ComponentStatus::Down, "", now);
        assert_eq!(readiness.overall(), Overall::Unavailable);
    }

    #[test]
    fn since_is_the_moment_of_the_change_not_of_the_last_report() {
        let mut readiness = Readiness::starting(Timestamp::from_millis(0));
        let at = Timestamp::from_millis;
        assert!(readiness.set(Component::Kafka, ComponentStatus::Ok, "", at(1_000)));
        assert!(!readiness.set(Component::Kafka, ComponentStatus::Ok, "", at(2_000)));
        assert!(readiness.set(Component::Kafka, ComponentStatus::Ok, "3 partitions", at(3_000)));
        assert_eq!(readiness.components()[0].since, at(1_000));
        assert_eq!(readiness.components()[0].detail, "3 partitions");
    }
}
