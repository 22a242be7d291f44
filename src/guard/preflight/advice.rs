//! What a finding says, and what to look at.

use super::budgets::{Baseline, Scanned};
use super::explain::Of;
use super::judge::{Finding, Kind, Note, said};
use super::measure::{Measures, Scale};
use super::server::ServerError;

/// ClickHouse's codes of limits: memory, time, and writing where only reading is allowed.
const MEMORY_LIMIT: u32 = 241;
const TIME_LIMIT: u32 = 159;
const READONLY: u32 = 164;
const SETTING_CONSTRAINT: u32 = 452;
const USER_IS_HELD: &str = "the user of --against may not set the preflight's limits: one with readonly = 2 and no constraint on \
    max_threads and max_memory_usage, or the setting in the query itself";
const READS_NOTHING: &str =
    "reads no rows of the seed, so that nothing holds it: give its parameters values that select some";

pub(super) fn failed(scale: &str, error: &ServerError) -> Finding {
    let look_at = match error {
        ServerError::Refused { code: MEMORY_LIMIT, .. } => {
            "it takes more memory than any query may here: a GROUP BY, join, IN-set or uniqExact over too many keys"
        }
        ServerError::Refused { code: TIME_LIMIT, .. } | ServerError::TimedOut(_) => {
            "it does not end: a join without a key, or a scan without a filter"
        }
        // The limits of a preflight are settings: with `readonly = 1`, or below a profile's cap, they cannot be set.
        ServerError::Refused { code: SETTING_CONSTRAINT, .. } => USER_IS_HELD,
        ServerError::Refused { code: READONLY, message } if message.contains("Cannot modify") => USER_IS_HELD,
        ServerError::Refused { code: READONLY, .. } => "only queries that read are judged; keep others elsewhere",
        _ => "the query, its parameters, and whether the schema has what it names",
    };
    Finding {
        kind: Kind::Failed,
        scale: scale.to_owned(),
        was: String::new(),
        now: error.to_string().replace("clickhouse refused: Code: ", "code ").replace(" DB::Exception:", ""),
        ratio: None,
        since: String::new(),
        look_at: look_at.to_owned(),
    }
}

pub(super) fn no_baseline(scale: &str, measures: &Measures) -> Finding {
    let now = format!(
        "{} rows, {}, {} of memory",
        measures.read_rows,
        said(Kind::ReadBytes, measures.read_bytes),
        said(Kind::Memory, measures.memory_bytes)
    );
    let odd = whole_scan(measures).or_else(|| (measures.read_rows == 0).then(|| READS_NOTHING.to_owned()));
    let odd = odd.map(|odd| format!(" (it {odd})")).unwrap_or_default();
    Finding {
        kind: Kind::NoBaseline,
        scale: scale.to_owned(),
        was: String::new(),
        now,
        ratio: None,
        since: String::new(),
        look_at: format!("if that is what it should take{odd}, run with --update and commit the budgets"),
    }
}

/// A query that reads nothing passes whatever it is: said, because the values proposed for its parameters may do that.
pub(super) fn idle(scale: &Scale, measures: &Measures) -> Option<Note> {
    (measures.read_rows == 0).then(|| format!("it {READS_NOTHING} (at {})", scale.label))
}

pub(super) fn less_data(scale: &str, scan: &Scanned, was: u64, baseline: &Baseline) -> Finding {
    Finding {
        kind: Kind::LessData,
        scale: scale.to_owned(),
        was: format!("{}: {was} granules", scan.source),
        now: format!("{}: {} granules", scan.source, scan.granules.total),
        ratio: None,
        since: format!("baseline of {}, {}", baseline.date, baseline.engine),
        look_at:
            "the seed, which fills less, or a filter that never holds; on other data nothing is compared: run with \
                  --update if it is meant"
                .to_owned(),
    }
}

/// Why a query may take more than it did.
pub(super) fn grown(kind: Kind, measures: &Measures, baseline: &Baseline) -> String {
    let rows_grew = exceeds(measures.read_rows, baseline.read_rows);
    match kind {
        Kind::ReadBytes if !rows_grew => "as many rows: more or wider columns are read, such as by SELECT *".to_owned(),
        Kind::Memory if !rows_grew => {
            "as many rows: a heavier GROUP BY key, uniqExact, groupArray, a join, an IN-set or a sort of wide rows"
                .to_owned()
        }
        Kind::Memory => "it reads more as well: mend that first".to_owned(),
        _ => match widened(measures, baseline) {
            Some(scan) => scan,
            None => "the range that is asked for, or a table that is read more than once".to_owned(),
        },
    }
}

/// More than noise.
fn exceeds(now: u64, was: u64) -> bool {
    now > was + was / 10
}

/// The table that is read more of, with what is left of its key.
fn widened(measures: &Measures, baseline: &Baseline) -> Option<String> {
    let scanned = Scanned::of(&measures.scans);
    let before =
        |scan: &Scanned| baseline.scans.iter().find(|known| known.source == scan.source).map(|known| known.granules);
    let wider = |scan: &&Scanned| before(scan).is_none_or(|known| scan.granules.selected > known.selected);
    let scan = scanned.iter().filter(wider).max_by_key(|scan| scan.granules.selected)?;
    let was = before(scan).map_or(String::new(), |known| format!(", was {} of {}", known.selected, known.total));
    let Of { selected, total } = scan.granules;
    let why = if selected == total { ": no filter on its key or partition is left" } else { "" };
    Some(format!("{} reads {selected} of {total} granules{was}{why}", scan.source))
}

fn whole_scan(measures: &Measures) -> Option<String> {
    let scanned = Scanned::of(&measures.scans);
    let whole = |scan: &&Scanned| scan.granules.total > 1 && scan.granules.selected == scan.granules.total;
    let scan = scanned.iter().find(whole)?;
    Some(format!("reads every granule of {}", scan.source))
}

pub(super) fn over_budget(measures: &Measures) -> String {
    let whole = whole_scan(measures).map(|scan| format!("it {scan}; ")).unwrap_or_default();
    format!("{whole}make it lighter, or raise the budget and say why in its note")
}

/// A requirement that nothing fulfils.
pub(super) fn lost(
    scale: &str,
    requirement: &str,
    scan: &Scanned,
    accepted: Option<&Scanned>,
    baseline: Option<&Baseline>,
) -> Finding {
    let is_projection = requirement.starts_with("projection ");
    let granules = |of: Of| format!("{} of {} granules", of.selected, of.total);
    let was =
        accepted.map_or_else(|| requirement.to_owned(), |known| format!("{requirement}: {}", granules(known.granules)));
    let look_at = if is_projection {
        "its columns, keys and aggregates must be those of the projection; a filter on another column loses it"
    } else {
        "the condition on the index's columns: gone, wrapped in a function, or of another type; EXPLAIN indexes = 1"
    };
    Finding {
        kind: if is_projection { Kind::Projection } else { Kind::Index },
        scale: scale.to_owned(),
        was,
        now: format!("{} reads {}", scan.source, granules(scan.granules)),
        ratio: None,
        since: baseline
            .map_or_else(|| "required".to_owned(), |known| format!("baseline of {}, {}", known.date, known.engine)),
        look_at: look_at.to_owned(),
    }
}
