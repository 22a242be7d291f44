//! `floodmark guard preflight`: what each query of a folder reads and takes, held against committed budgets.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::Table;

use super::super::output::table;
use super::super::{CliError, Globals};
use crate::config::{ByteCount, Config, Secret};
use crate::detect::words::bytes;
use crate::guard::preflight::report::{json, junit, sarif};
use crate::guard::preflight::{
    Folder, FolderError, Measured, Report, Scale, Scanned, Server, ServerAccess, judge, measure_all, seed, updated,
};
use crate::local::{LocalClickHouse, LocalClickHouseOptions};

/// Most memory of the engine that is started here: a build machine has other work to do.
const ENGINE_BYTES_MAX: u64 = 2 << 30;
/// Servers of one preflight.
const SERVERS_MAX: usize = 16;
/// Characters of a cell of the table.
const NOW_CHARS_MAX: usize = 100;

const HELP: &str = "\
Each NAME.sql of DIR is a query. It is explained, and run three times with two threads on data of 1 and of 4 times the
seed, on an engine that is started for this command: schema.sql makes the tables, seed.sql fills them ({scale} in it is 1
or 4). What it reads and takes is held against DIR/budgets.toml: absolute budgets, the baseline that was accepted last,
and the indexes and projections it has to use. Never against time.

Exit code 0: all queries pass. 1: one does not, and the table says which, by how much, since which baseline, and what to
look at. 78: the folder or its budgets cannot be used.

Examples:
  floodmark guard preflight queries/named
  floodmark guard preflight queries/named --update                        accept what is measured, and review the diff
  floodmark guard preflight queries/named --output sarif > preflight.sarif
  floodmark guard preflight queries/named --against https://staging:8443 --database shop";

/// Arguments of `guard preflight`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP, after_help = "More, with examples: floodmark guard preflight --help")]
pub struct Args {
    /// Folder with a query in each .sql file
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Budgets file [default: DIR/budgets.toml]
    #[arg(long, value_name = "FILE")]
    budgets: Option<PathBuf>,
    /// Write what is measured as the new baseline
    #[arg(long)]
    update: bool,
    /// Measure on this server and the data it has, instead of seeding an engine; may be given several times
    #[arg(long, value_name = "URL")]
    against: Vec<String>,
    /// Database on the servers of --against
    #[arg(long, value_name = "NAME", default_value = "default", requires = "against")]
    database: String,
    /// User on the servers of --against; it may read and set settings: readonly = 2 is enough
    #[arg(long, value_name = "NAME", default_value = "default", requires = "against")]
    user: String,
    /// File that holds its password
    #[arg(long, value_name = "FILE", requires = "against")]
    password_file: Option<PathBuf>,
    /// Certificate authorities to trust instead of the system's, for https
    #[arg(long, value_name = "FILE", requires = "against")]
    ca_file: Option<PathBuf>,
    /// Most memory that one query may take
    #[arg(long, value_name = "BYTES", default_value = "1GiB")]
    memory_max: bytesize::ByteSize,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Output {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
    /// JUnit XML, for CI systems
    Junit,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

/// What was measured, and on which.
struct Done {
    scales: Vec<Scale>,
    measured: Vec<Measured>,
    engine: String,
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be used (78); an engine or server that does not answer (1).
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, CliError> {
    let config = globals.load_config()?;
    let unusable = |error: FolderError| CliError::Config(error.to_string());
    let mut folder = Folder::read(&args.folder, args.budgets.as_deref()).map_err(unusable)?;
    crate::telemetry::init(&globals.log, true).map_err(|error| CliError::Usage(error.to_string()))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let done = runtime.block_on(measure(args, &folder, &config))?;
    if args.update {
        let today = crate::clock::now().to_string().chars().take(10).collect::<String>();
        folder.budgets = updated(&folder, &done.scales, &done.measured, &done.engine, &today);
        write_whole(&folder.budgets_path, &folder.budgets.to_toml())?;
        eprintln!("floodmark: wrote {}; review what changed in it", folder.budgets_path.display());
    }
    let report = judge(&folder, &done.scales, &done.measured, &done.engine);
    print(&report, args.output, &mut std::io::stdout().lock())?;
    Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replaces the file at once: whoever stops this command leaves the old one or the new one.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let cannot = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new().prefix(".budgets-").tempfile_in(parent).with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    // A temporary file is its owner's alone; this one is to be committed.
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).with_context(cannot)?;
    file.persist(path).with_context(cannot)?;
    Ok(())
}

async fn measure(args: &Args, folder: &Folder, config: &Config) -> anyhow::Result<Done> {
    if args.against.is_empty() {
        return measure_seeded(folder, config, args.memory_max.as_u64()).await;
    }
    anyhow::ensure!(args.against.len() <= SERVERS_MAX, "--against: at most {SERVERS_MAX} servers");
    let password = args.password_file.as_deref().map(Secret::from_file).transpose().context("--password-file")?;
    let mut done = Done { scales: Vec::new(), measured: Vec::new(), engine: String::new() };
    for url in &args.against {
        let access = ServerAccess {
            url: url.clone(),
            user: args.user.clone(),
            password: password.clone(),
            ca_file: args.ca_file.clone(),
            database: args.database.clone(),
            query_memory_bytes_max: args.memory_max.as_u64(),
        };
        let server = Server::connect(access).await.with_context(|| url.clone())?;
        let label = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/').to_owned();
        let scale = Scale { label, factor: None };
        done.measured.extend(measure_all(&server, folder, &scale).await.with_context(|| url.clone())?);
        done.scales.push(scale);
        server.version().clone_into(&mut done.engine);
    }
    Ok(done)
}

/// A fresh engine for each scale: schemas may name their database, and system tables hold nothing else.
async fn measure_seeded(folder: &Folder, config: &Config, memory_bytes_max: u64) -> anyhow::Result<Done> {
    let directory = tempfile::Builder::new().prefix("floodmark-preflight-").tempdir()?;
    let mut done = Done { scales: folder.scales(), measured: Vec::new(), engine: String::new() };
    for scale in &done.scales {
        let mut options = LocalClickHouseOptions::new(std::env::current_exe()?, &config.local, folder.database());
        options.directory = directory.path().join(&scale.label);
        options.memory_bytes_max = ENGINE_BYTES_MAX.min(ByteCount::as_usize(config.local.clickhouse_memory_max) as u64);
        let engine = LocalClickHouse::start(options).await?;
        let admin = &engine.users().admin;
        let access = folder.access(engine.url(), admin.user, &admin.password, memory_bytes_max);
        let server = Server::connect(access).await?;
        eprintln!("floodmark: seeding {} on ClickHouse {}", scale.label, server.version());
        seed(&server, folder, scale.factor.unwrap_or(1)).await?;
        done.measured.extend(measure_all(&server, folder, scale).await?);
        server.version().clone_into(&mut done.engine);
        engine.shutdown().await?;
    }
    Ok(done)
}

fn print(report: &Report, output: Output, out: &mut dyn Write) -> anyhow::Result<()> {
    match output {
        Output::Table => write_tables(report, out)?,
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&json(report))?)?,
        Output::Junit => write!(out, "{}", junit(report))?,
        Output::Sarif => writeln!(out, "{}", serde_json::to_string_pretty(&sarif(report))?)?,
    }
    Ok(())
}

fn write_tables(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    if !report.passes() {
        writeln!(out, "{}\n", findings(report).trim_fmt())?;
    }
    writeln!(out, "{}\n", measures(report).trim_fmt())?;
    for query in &report.queries {
        for note in &query.notes {
            writeln!(out, "note: {}: {note}", query.query)?;
        }
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    let (all, failed) = (report.queries.len(), report.failed());
    writeln!(out, "{} of {all} queries pass on ClickHouse {}", all - failed, report.engine)?;
    Ok(())
}

fn findings(report: &Report) -> Table {
    let mut table = table(["query", "scale", "measure", "was", "now", "by", "since", "look at"]);
    for query in &report.queries {
        for finding in &query.findings {
            table.add_row([
                query.query.as_str(),
                &finding.scale,
                finding.kind.name(),
                &finding.was,
                &shortened(&finding.now),
                &finding.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x")),
                &finding.since,
                &finding.look_at,
            ]);
        }
    }
    table
}

/// A message of ClickHouse can be longer than a line; the other outputs have it whole.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(NOW_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Numbers of rows and bytes are far below 2^53.
#[allow(clippy::cast_precision_loss)]
fn measures(report: &Report) -> Table {
    let mut table = table(["query", "scale", "rows read", "bytes read", "memory", "granules read", "narrowed by"]);
    for query in &report.queries {
        for scale in &report.scales {
            let Some(measures) = query.measures.get(scale) else { continue };
            let scanned = Scanned::of(&measures.scans);
            let granules: Vec<String> = scanned
                .iter()
                .map(|s| format!("{} {} of {}", s.source, s.granules.selected, s.granules.total))
                .collect();
            let mut narrowed: Vec<String> = measures.scans.iter().flat_map(|scan| scan.uses()).collect();
            narrowed.dedup();
            table.add_row([
                query.query.clone(),
                scale.clone(),
                measures.read_rows.to_string(),
                bytes(measures.read_bytes as f64),
                bytes(measures.memory_bytes as f64),
                granules.join(", "),
                narrowed.join(", "),
            ]);
        }
    }
    table
}
