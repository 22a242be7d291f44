//! The demo's live view on stderr: one moving line on a terminal, plain lines otherwise, alerts as they fire.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::feed::Progress;
use crate::api::View;
use crate::ingest::IngestStatus;
use crate::model::{Output, Severity, Timestamp, Transition, TransitionEvent};
use crate::sim::ScenarioFile;

/// Plain lines come this often.
const LINE_PAUSE: Duration = Duration::from_secs(5);

/// The view's state.
pub struct Live {
    bar: ProgressBar,
    start: Timestamp,
    last_line: Instant,
    last_rate: (Instant, u64),
    rate: f64,
}

impl Live {
    /// Nothing drawn yet.
    pub fn new(scenario: &ScenarioFile) -> Self {
        let bar = ProgressBar::new(scenario.duration().0.as_secs());
        // The template is a constant; should it ever not parse, the plain bar does as well.
        let style = ProgressStyle::with_template("{wide_bar:.cyan} {percent:>3} %\n{msg}");
        let bar = style.map(|style| bar.clone().with_style(style)).unwrap_or(bar);
        let now = now();
        Self { bar, start: scenario.start(), last_line: now, last_rate: (now, 0), rate: 0.0 }
    }

    /// Says what fired or resolved.
    pub fn tell(&mut self, output: &Output) {
        if let Output::Transition(transition) = output
            && transition.event != TransitionEvent::Pending
        {
            let line = line(transition);
            if self.bar.is_hidden() {
                eprintln!("{line}");
            } else {
                self.bar.println(line);
            }
        }
    }

    /// Shows where everything stands.
    pub fn draw(&mut self, progress: &Progress, view: &View, ingest: &IngestStatus) {
        let now = now();
        let elapsed = now.duration_since(self.last_rate.0);
        if elapsed >= Duration::from_secs(1) {
            #[allow(clippy::cast_precision_loss)]
            let messages = ingest.counts.messages.saturating_sub(self.last_rate.1) as f64;
            self.rate = messages / elapsed.as_secs_f64();
            self.last_rate = (now, ingest.counts.messages);
        }
        let status = self.status(progress, view, ingest);
        if let Progress::Feeding { at, .. } = progress {
            self.bar.set_position(u64::try_from(at.since(self.start) / 1_000).unwrap_or(0));
        }
        self.bar.set_message(status.clone());
        if self.bar.is_hidden() && now.duration_since(self.last_line) >= LINE_PAUSE {
            self.last_line = now;
            eprintln!("{status}");
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn status(&self, progress: &Progress, view: &View, ingest: &IngestStatus) -> String {
        let lag: i64 = ingest.partitions.iter().filter_map(|p| p.lag).sum();
        let behind = ingest.partitions.iter().filter(|p| p.behind_from.is_some()).count();
        let fed = match progress {
            Progress::Feeding { at, events } => format!("fed {events} to {}", clock(*at)),
            Progress::Done(_) => "all fed".to_owned(),
        };
        let watermark = view.watermark.map_or_else(|| "none yet".to_owned(), clock);
        let storage = if behind == 0 { "storage level".to_owned() } else { format!("storage behind on {behind}") };
        let firing = view.firing().count();
        format!("{fed} | {:.0} records/s | watermark {watermark} | lag {lag} | {storage} | {firing} firing", self.rate)
    }
}

/// `09:41:20`, of an event time.
fn clock(at: Timestamp) -> String {
    let text = at.window_start(1_000).to_string();
    text.get(11..19).unwrap_or(&text).to_owned()
}

fn line(transition: &Transition) -> String {
    let mark = match (transition.event, transition.severity) {
        (TransitionEvent::Resolved, _) => "resolved",
        (_, Severity::Critical) => "CRITICAL",
        (_, Severity::Warning) => "warning ",
        (_, Severity::Info) => "info    ",
    };
    format!("{} {mark} {}: {}", clock(transition.at), transition.alert, transition.summary)
}

// The rate shown is one of real time.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
