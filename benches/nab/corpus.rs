//! Labelled series on disk: where they are, what is labelled in them, and which of them were looked at in development.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Series of the Numenta Anomaly Benchmark that the detector was developed on: every other one of a folder. No other
/// was looked at before the detector was finished.
const NAB_DEVELOPMENT: [&str; 22] = [
    "artificialNoAnomaly/art_daily_no_noise.csv",
    "artificialNoAnomaly/art_daily_small_noise.csv",
    "artificialNoAnomaly/art_noisy.csv",
    "artificialWithAnomaly/art_daily_flatmiddle.csv",
    "artificialWithAnomaly/art_daily_jumpsup.csv",
    "artificialWithAnomaly/art_increase_spike_density.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_825cc2.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_c6585a.csv",
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv",
    "realAWSCloudwatch/ec2_network_in_257a54.csv",
    "realAWSCloudwatch/elb_request_count_8c0756.csv",
    "realAWSCloudwatch/iio_us-east-1_i-a2eb1cd9_NetworkIn.csv",
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b.csv",
    "realAdExchange/exchange-2_cpc_results.csv",
    "realAdExchange/exchange-3_cpc_results.csv",
    "realAdExchange/exchange-4_cpc_results.csv",
    "realTraffic/TravelTime_387.csv",
    "realTraffic/occupancy_6005.csv",
    "realTraffic/speed_6005.csv",
    "realTraffic/speed_t4013.csv",
];
/// Folders of Microsoft's cloud monitoring data that it was developed on.
const CLOUD_DEVELOPMENT: [&str; 3] = ["application-crash-rate-1", "data-ingress-rate", "mongodb-application-rps"];

/// A labelled series.
pub struct Series {
    /// Folder and file.
    pub name: String,
    pub path: PathBuf,
    pub developed_on: bool,
    pub label: Label,
}

/// What is labelled in a series.
pub enum Label {
    /// First and last timestamp of each window.
    Windows(Vec<(String, String)>),
    /// The column `Label` says which rows are anomalous.
    Column,
}

/// The series of the Numenta Anomaly Benchmark under a checkout of its repository.
pub fn nab(root: &Path) -> Result<Vec<Series>> {
    let labels = ["labels/combined_windows.json", "windows.json"].map(|name| root.join(name));
    let labels = labels.iter().find(|path| path.exists()).context("there is no labels/combined_windows.json")?;
    let labels: Value = serde_json::from_str(&std::fs::read_to_string(labels)?)?;
    let mut all = Vec::new();
    for (name, windows) in labels.as_object().context("the labels are no object")? {
        let path = root.join("data").join(name);
        if !path.exists() {
            continue;
        }
        let limit = |window: &Value, at: usize| window[at].as_str().map(str::to_owned).context("no timestamp");
        let windows = windows.as_array().context("no list of windows")?.iter();
        let windows = windows.map(|window| Ok((limit(window, 0)?, limit(window, 1)?))).collect::<Result<_>>()?;
        let developed_on = NAB_DEVELOPMENT.contains(&name.as_str());
        all.push(Series { name: name.clone(), path, developed_on, label: Label::Windows(windows) });
    }
    Ok(all)
}

/// The series of the cloud monitoring data set: folders of CSV files with a column `Label`.
pub fn cloud(root: &Path) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for folder in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let developed_on = CLOUD_DEVELOPMENT.contains(&name.as_str());
        for path in entries(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "csv")) {
            all.push(Series { name: name.clone(), path, developed_on, label: Label::Column });
        }
    }
    Ok(all)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
