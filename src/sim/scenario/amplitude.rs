//! How bad it gets: values of a scenario file that `--amplitude` changes.
//!
//! What leads to ten times the load in a closed loop is no multiple of what leads to twice of it, so a file says for each
//! amplitude what it takes.

use serde::Deserialize;
use toml::Value;

use crate::config::Problem;

/// Amplitudes of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmplitudeSpec {
    /// What the file has as it stands: about so many times the usual.
    pub default: f64,
    /// The others.
    pub levels: Vec<AmplitudeLevel>,
}

/// What another amplitude takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmplitudeLevel {
    /// About so many times the usual.
    pub amplitude: f64,
    /// Values by key path, e.g. `"effects[0].what.surge.factor" = 3.0`.
    pub set: toml::Table,
}

impl AmplitudeSpec {
    /// All amplitudes, least first.
    #[must_use]
    pub fn all(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.levels.iter().map(|level| level.amplitude).chain([self.default]).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }

    /// The file with another amplitude's values in it.
    ///
    /// # Errors
    /// There is no such amplitude, or a key path leads nowhere.
    pub(super) fn apply(&self, amplitude: f64, file: &mut toml::Table) -> Result<(), Vec<Problem>> {
        if amplitude == self.default {
            return Ok(());
        }
        let Some(level) = self.levels.iter().find(|level| level.amplitude == amplitude) else {
            let all: Vec<String> = self.all().iter().map(f64::to_string).collect();
            let message = format!("there is no amplitude {amplitude}; there are {}", all.join(", "));
            return Err(vec![Problem { key: "amplitude".to_owned(), message }]);
        };
        let mut problems = Vec::new();
        for (path, value) in &level.set {
            match place(file, path) {
                Some(place) => *place = value.clone(),
                None => problems.push(Problem {
                    key: format!("amplitude.levels.set.{path}"),
                    message: "leads to no value of this file".to_owned(),
                }),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// The value at a key path such as `effects[0].what.surge.factor`.
fn place<'a>(file: &'a mut toml::Table, path: &str) -> Option<&'a mut Value> {
    let mut steps = path.split('.');
    let mut value = step(file, steps.next()?)?;
    for part in steps {
        value = step(value.as_table_mut()?, part)?;
    }
    Some(value)
}

fn step<'a>(table: &'a mut toml::Table, part: &str) -> Option<&'a mut Value> {
    let Some((name, index)) = part.strip_suffix(']').and_then(|part| part.split_once('[')) else {
        return table.get_mut(part);
    };
    table.get_mut(name)?.as_array_mut()?.get_mut(index.parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_where_the_path_leads() {
        let mut file: toml::Table = toml::from_str("[[effects]]\nwhat = { surge = { factor = 10.0 } }").unwrap();
        let spec: AmplitudeSpec = toml::from_str(
            "default = 10\n[[levels]]\namplitude = 3\nset = { 'effects[0].what.surge.factor' = 3.0 }\n\
             [[levels]]\namplitude = 2\nset = { 'effects[1].what.surge.factor' = 2.0 }",
        )
        .unwrap();
        assert_eq!(spec.all(), [2.0, 3.0, 10.0]);
        assert!(spec.apply(10.0, &mut file).is_ok());
        assert_eq!(place(&mut file, "effects[0].what.surge.factor").unwrap().as_float(), Some(10.0));
        assert!(spec.apply(3.0, &mut file).is_ok());
        assert_eq!(place(&mut file, "effects[0].what.surge.factor").unwrap().as_float(), Some(3.0));
        let nowhere = spec.apply(2.0, &mut file).unwrap_err();
        assert!(nowhere[0].message.contains("no value"), "{nowhere:?}");
        let unknown = spec.apply(5.0, &mut file).unwrap_err();
        assert!(unknown[0].message.contains("there are 2, 3, 10"), "{unknown:?}");
    }
}
