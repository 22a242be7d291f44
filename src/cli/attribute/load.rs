//! From rows to the table that is searched: which column is what, which moments are compared, what rows count.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail};

use super::Args;
use super::rows::Rows;
use super::when::epoch_ms;
use crate::cli::CliError;
use crate::incident::lattice::{DIMENSIONS_MAX, Measure, Moment, Table, TableBuilder, reference_moments};
use crate::model::Timestamp;

/// Distinct moments of a table: two years of minutes.
const MOMENTS_READ_MAX: usize = 1_100_000;

/// Places of the columns in the header.
pub(super) struct Columns {
    time: Option<usize>,
    measure: usize,
    of: Option<usize>,
    expected: Option<usize>,
    dimensions: Vec<usize>,
    names: Vec<String>,
}

impl Columns {
    pub(super) fn of(args: &Args, header: &[String]) -> Result<Self, CliError> {
        let place = |name: &str| {
            let mut places = (0..header.len()).filter(|place| header[*place] == name);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => Err(CliError::Usage(format!("there are two columns {name}"))),
                (None, _) => {
                    Err(CliError::Usage(format!("there is no column {name}; there are {}", header.join(", "))))
                }
            }
        };
        let optional = |name: &Option<String>| name.as_deref().map(place).transpose();
        let (time, of, expected) = (optional(&args.time_column)?, optional(&args.of)?, optional(&args.expected)?);
        let measure = place(&args.measure)?;
        let ignored: Vec<usize> = args.ignore.iter().map(|name| place(name)).collect::<Result<_, _>>()?;
        let mut dimensions: Vec<usize> = args.dimensions.iter().map(|name| place(name)).collect::<Result<_, _>>()?;
        let taken =
            |place: &usize| [time, of, expected, Some(measure)].contains(&Some(*place)) || ignored.contains(place);
        if let Some(both) = dimensions.iter().find(|place| taken(place)) {
            return Err(CliError::Usage(format!("{} cannot be a dimension and something else", header[*both])));
        }
        if dimensions.is_empty() {
            dimensions = (0..header.len()).filter(|place| !taken(place)).collect();
        }
        dimensions.sort_unstable();
        dimensions.dedup();
        if dimensions.is_empty() || dimensions.len() > DIMENSIONS_MAX {
            let count = dimensions.len();
            let text =
                format!("there are {count} columns left as dimensions; name 1 to {DIMENSIONS_MAX} with --dimensions");
            return Err(CliError::Usage(text));
        }
        let names = dimensions.iter().map(|place| header[*place].clone()).collect();
        Ok(Self { time, measure, of, expected, dimensions, names })
    }
}

/// What is searched.
pub(super) struct Loaded {
    pub(super) table: Table,
    /// Moments that now is compared with.
    pub(super) compared: usize,
}

/// A row's numbers.
struct Numbers {
    actual: f64,
    weight: f64,
    expected: f64,
}

/// Reads the table.
pub(super) fn load(args: &Args, columns: &Columns, rows: &Rows) -> Result<Loaded, CliError> {
    let at = args
        .at
        .as_deref()
        .map(|text| epoch_ms(text).ok_or_else(|| CliError::Usage(format!("--at {text} is not a time (see --help)"))));
    let at = at.transpose()?;
    let measure = if args.of.is_some() { Measure::Ratio } else { Measure::Sum };
    let mut before: BTreeMap<i64, usize> = BTreeMap::new();
    let mut builder = if args.expected.is_some() {
        TableBuilder::with_expected(columns.names.clone(), measure)
    } else {
        let at =
            at.ok_or_else(|| CliError::Usage("without --expected, --time-column and --at are needed".to_owned()))?;
        before = compared_with(args, columns, rows, at)?;
        TableBuilder::new(columns.names.clone(), measure, before.len())
    }
    .context("cannot search")?;
    let mut rows_now = 0_u64;
    let mut nearest: Option<i64> = None;
    rows.each(|row| {
        let time = columns.time.map(|place| time_of(row[place])).transpose()?;
        let moment = match (time, at) {
            (Some(time), Some(at)) if time != at => {
                let nearer = nearest.is_none_or(|other| (time - at).abs() < (other - at).abs());
                nearest = if nearer { Some(time) } else { nearest };
                match before.get(&time) {
                    Some(place) => Moment::Before(*place),
                    None => return Ok(()),
                }
            }
            _ => Moment::Now,
        };
        let Some(numbers) = numbers(args, columns, row)? else { return Ok(()) };
        rows_now += u64::from(moment == Moment::Now);
        let values: Vec<&str> = columns.dimensions.iter().map(|place| row[*place].trim()).collect();
        match (columns.expected, moment) {
            (Some(_), _) => builder.add_expected(&values, numbers.actual, numbers.weight, numbers.expected)?,
            (None, moment) => builder.add(&values, moment, numbers.actual, numbers.weight)?,
        }
        Ok(())
    })?;
    if rows_now == 0 {
        return Err(nothing_now(args, nearest).into());
    }
    Ok(Loaded { table: builder.finish(), compared: before.len() })
}

fn nothing_now(args: &Args, nearest: Option<i64>) -> anyhow::Error {
    match (&args.at, nearest) {
        (Some(at), Some(nearest)) => {
            anyhow!("no row is of {at}; the nearest are of {}", Timestamp::from_millis(nearest))
        }
        _ => anyhow!("there are no rows"),
    }
}

/// Moments that now is compared with, and the place of each: the newest first.
fn compared_with(args: &Args, columns: &Columns, rows: &Rows, at: i64) -> Result<BTreeMap<i64, usize>, CliError> {
    let Some(column) = columns.time else { return Ok(BTreeMap::new()) };
    let mut moments: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    rows.each(|row| {
        let time = time_of(row[column])?;
        if time >= at {
            return Ok(());
        }
        if let Some(numbers) = numbers(args, columns, row)? {
            let sums = moments.entry(time).or_default();
            *sums = (sums.0 + numbers.actual, sums.1 + numbers.weight);
        }
        if moments.len() > MOMENTS_READ_MAX {
            bail!("more than {MOMENTS_READ_MAX} moments");
        }
        Ok(())
    })?;
    if moments.is_empty() {
        let text = "there are no rows before it to compare with; give what was expected as a column with --expected";
        return Err(anyhow!(text).into());
    }
    let ratio = args.of.is_some();
    let value = |(actual, weight): (f64, f64)| if ratio && weight > 0.0 { actual / weight } else { actual };
    let history: Vec<(i64, f64)> = moments.into_iter().map(|(time, sums)| (time, value(sums))).collect();
    Ok(reference_moments(&history, at).into_iter().zip(0..).collect())
}

fn time_of(text: &str) -> anyhow::Result<i64> {
    epoch_ms(text).with_context(|| format!("`{text}` is not a time"))
}

/// The row's numbers; none where the measure is empty: what is absent is not zero.
fn numbers(args: &Args, columns: &Columns, row: &[&str]) -> anyhow::Result<Option<Numbers>> {
    let number = |place: usize, name: &str| -> anyhow::Result<f64> {
        let text = row[place].trim();
        let number: f64 = text.parse().with_context(|| format!("{name}: `{text}` is not a number"))?;
        if !number.is_finite() {
            bail!("{name}: `{text}` is not a finite number");
        }
        Ok(number)
    };
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    if row[columns.measure].trim().is_empty() {
        return Ok(None);
    }
    let actual = number(columns.measure, &args.measure)?;
    let weight = columns.of.map(|place| number(place, &name(&args.of))).transpose()?.unwrap_or(0.0);
    if weight < 0.0 {
        bail!("{}: what a ratio is of cannot be negative", name(&args.of));
    }
    let expected = columns.expected.map(|place| number(place, &name(&args.expected))).transpose()?.unwrap_or(0.0);
    let factor = if args.mean { weight } else { 1.0 };
    Ok(Some(Numbers { actual: actual * factor, weight, expected: expected * factor }))
}
