//! The ClickHouse to ask: the configured one, that of the service that runs here, or one of this command's own.

use std::time::Duration;

use anyhow::Context;

use crate::config::{Config, Secret};
use crate::local::{Credentials, LocalClickHouse, LocalClickHouseOptions};
use crate::store::{ClickHouse, Endpoint, StoreError};

/// A local ClickHouse that does not answer a trifle within this is not there.
const LOCAL_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A client, and the engine that was started for it.
pub(in crate::cli) struct Access {
    pub(in crate::cli) clickhouse: ClickHouse,
    /// Where questions of others are asked, with `readonly` beside each.
    pub(in crate::cli) desk: Endpoint,
    engine: Option<LocalClickHouse>,
}

impl Access {
    /// Finds or starts the ClickHouse of `config`. `None` when the local one never stored anything.
    pub(in crate::cli) async fn open(config: &Config, timeout: Duration) -> anyhow::Result<Option<Self>> {
        if let Some(url) = &config.clickhouse.url {
            let endpoint = Endpoint::from_config(&config.clickhouse, url)
                .context("cannot read clickhouse.password_file")
                .map(|endpoint| Endpoint { timeout, ..endpoint })?;
            let desk = desk_elsewhere(config, &endpoint)?;
            return Ok(Some(Self { clickhouse: ClickHouse::new(&endpoint), desk, engine: None }));
        }
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let options = LocalClickHouseOptions::new(program, &config.local, &config.clickhouse.database);
        let endpoint = |url: &str, reader: &Credentials, timeout| Endpoint {
            url: url.to_owned(),
            database: config.clickhouse.database.clone(),
            user: reader.user.to_owned(),
            password: Secret::new(reader.password.as_str()),
            timeout,
            tls: None,
        };
        if let Some((url, reader)) = LocalClickHouse::of_another_process(&options.directory) {
            let probe = ClickHouse::new(&endpoint(&url, &reader, LOCAL_ANSWER_TIMEOUT));
            if answers(&probe).await {
                let reader = endpoint(&url, &reader, timeout);
                let desk = LocalClickHouse::desk_of_another_process(&options.directory);
                let desk = desk.map_or_else(|| reader.clone(), |desk| endpoint(&url, &desk, timeout));
                return Ok(Some(Self { clickhouse: ClickHouse::new(&reader), desk, engine: None }));
            }
        }
        if !options.directory.join("data").exists() {
            return Ok(None);
        }
        let engine = LocalClickHouse::start(options).await.context("the local clickhouse is not running")?;
        let users = engine.users();
        let clickhouse = ClickHouse::new(&endpoint(engine.url(), &users.reader, timeout));
        let desk = endpoint(engine.url(), &users.desk, timeout);
        Ok(Some(Self { clickhouse, desk, engine: Some(engine) }))
    }

    /// Ends the engine that was started for it, if one was.
    pub(in crate::cli) async fn close(self) -> anyhow::Result<()> {
        match self.engine {
            Some(engine) => Ok(engine.shutdown().await?),
            None => Ok(()),
        }
    }
}

/// The configured user for questions, else the one for everything.
fn desk_elsewhere(config: &Config, endpoint: &Endpoint) -> anyhow::Result<Endpoint> {
    let Some(user) = &config.query.user else { return Ok(endpoint.clone()) };
    let password = config.query.secret().context("cannot read query.password_file")?.unwrap_or_default();
    Ok(Endpoint { user: user.clone(), password, ..endpoint.clone() })
}

/// The files may be left over from a service that has ended, and its port taken by something else since.
async fn answers(clickhouse: &ClickHouse) -> bool {
    #[derive(serde::Deserialize)]
    struct One {
        one: u8,
    }
    let answer: Result<Vec<One>, StoreError> = clickhouse.fetch("SELECT 1 AS one", &[]).await;
    answer.is_ok_and(|rows| rows.first().is_some_and(|row| row.one == 1))
}
