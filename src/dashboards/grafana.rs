//! Grafana's classic dashboard JSON.

use serde_json::{Value, json};

use super::source::{Dashboard, Look, Panel, SourceError, Variable};
use super::sql;
use crate::model::{Column, NamedQuery, Unit};

/// Version of the dashboard schema: that of Grafana 11 and later, which read all earlier ones.
const SCHEMA_VERSION: u32 = 39;
/// Height of a panel, in Grafana's units.
const HEIGHT: u32 = 8;
/// Width of a dashboard.
const WIDTH: u32 = 24;
/// The data source for ClickHouse; those of Prometheus have another variable.
const CLICKHOUSE: &str = "${datasource}";
const PROMETHEUS: &str = "${prometheus_datasource}";
/// Steps are minutes at least: the rollup has no smaller ones.
const INTERVAL_MIN: &str = "1m";

/// The JSON of a dashboard.
pub(super) fn dashboard(dashboard: &Dashboard) -> Result<Value, SourceError> {
    let mut panels = Vec::with_capacity(dashboard.panels.len());
    let (mut x, mut y) = (0, 0);
    for (panel, id) in dashboard.panels.iter().zip(1_u32..) {
        if x + panel.width > WIDTH {
            (x, y) = (0, y + HEIGHT);
        }
        let place = json!({ "h": HEIGHT, "w": panel.width, "x": x, "y": y });
        x += panel.width;
        panels.push(self::panel(panel, id, &place).map_err(|error| in_panel(dashboard, panel, &error))?);
    }
    let asks_prometheus = dashboard.panels.iter().any(|panel| !panel.metrics.is_empty());
    Ok(json!({
        "id": null,
        "uid": format!("floodmark-{}", dashboard.name),
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["floodmark"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": false,
        "graphTooltip": 1,
        "refresh": "1m",
        "timezone": "utc",
        "time": { "from": dashboard.from, "to": "now" },
        "links": [{
            "asDropdown": true, "includeVars": false, "keepTime": true, "tags": ["floodmark"], "targetBlank": false,
            "title": "Floodmark", "type": "dashboards",
        }],
        "annotations": { "list": annotations()? },
        "templating": { "list": variables(dashboard, asks_prometheus)? },
        "panels": panels,
    }))
}

fn in_panel(dashboard: &Dashboard, panel: &Panel, error: &SourceError) -> SourceError {
    SourceError(format!("{}: panel \"{}\": {}", dashboard.name, panel.title, error.0))
}

fn clickhouse() -> Value {
    json!({ "type": "grafana-clickhouse-datasource", "uid": CLICKHOUSE })
}

fn query(name: &str) -> Result<&'static NamedQuery, SourceError> {
    NamedQuery::find(name).ok_or_else(|| SourceError(format!("there is no query {name}")))
}

fn column<'q>(query: &'q NamedQuery, name: &str) -> Result<&'q Column, SourceError> {
    let found = query.columns.iter().find(|column| column.name == name);
    found.ok_or_else(|| SourceError(format!("query {} has no column {name}", query.name)))
}

/// The query's text inside a selection of its columns.
fn selection(query: &NamedQuery, columns: &str, sql: &str, order: &str) -> String {
    format!("-- queries/named/{}.sql\nSELECT {columns} FROM\n(\n{sql}\n)\n{order}", query.name)
}

fn panel(panel: &Panel, id: u32, place: &Value) -> Result<Value, SourceError> {
    let (kind, options) = match panel.look {
        Look::Curve => (
            "timeseries",
            json!({
                "legend": { "calcs": ["max", "lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": true },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
        ),
        Look::Table => ("table", json!({ "cellHeight": "sm", "showHeader": true })),
        Look::Number => (
            "stat",
            json!({
                "colorMode": "value", "graphMode": "area", "textMode": "auto",
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
        ),
    };
    let (datasource, targets, field_config) = match &panel.query {
        Some(name) => {
            let (target, field_config) = asks_clickhouse(panel, query(name)?)?;
            (clickhouse(), vec![target], field_config)
        }
        None => asks_prometheus(panel)?,
    };
    let mut json = json!({
        "id": id, "type": kind, "title": panel.title, "description": panel.description, "gridPos": place,
        "datasource": datasource, "targets": targets, "fieldConfig": field_config, "options": options,
        "interval": INTERVAL_MIN,
    });
    if let Some(range) = &panel.range {
        json["timeFrom"] = json!(range);
    }
    Ok(json)
}

/// A target for a named query, and the units of its columns.
fn asks_clickhouse(panel: &Panel, query: &NamedQuery) -> Result<(Value, Value), SourceError> {
    let shown: Vec<&Column> = match panel.columns.as_slice() {
        [] => query.columns.iter().collect(),
        names => names.iter().map(|name| column(query, name)).collect::<Result<_, _>>()?,
    };
    let names: Vec<&str> = shown.iter().map(|column| column.name.as_str()).collect();
    let text = sql::of_query(query, &panel.parameters)?;
    let (raw_sql, query_type, format) = match panel.look {
        Look::Curve => {
            let time = column(query, "time")?.name.as_str();
            let by = panel.by.as_deref().map(|by| column(query, by).map(|column| column.name.as_str())).transpose()?;
            let keys: Vec<&str> = std::iter::once(time).chain(by).collect();
            let columns: Vec<&str> = keys.iter().copied().chain(names).collect();
            (selection(query, &columns.join(", "), &text, &format!("ORDER BY {}", keys.join(", "))), "timeseries", 0)
        }
        Look::Table | Look::Number => (selection(query, &names.join(", "), &text, ""), "table", 1),
    };
    let units: Vec<&str> = shown.iter().map(|column| grafana_unit(column)).collect();
    let one_unit = units.windows(2).all(|pair| pair[0] == pair[1]);
    if panel.look != Look::Table && (!one_unit || panel.columns.is_empty()) {
        return Err(SourceError("its columns must be named and have one unit".to_owned()));
    }
    let overrides: Vec<Value> = match panel.look {
        Look::Table => shown.iter().zip(&units).map(|(column, unit)| of_column(column, unit)).collect(),
        Look::Curve | Look::Number => Vec::new(),
    };
    let unit = if panel.look == Look::Table { "short" } else { units.first().copied().unwrap_or("short") };
    let target = json!({
        "refId": "A", "datasource": clickhouse(), "editorType": "sql", "queryType": query_type, "format": format,
        "rawSql": raw_sql.trim_end(),
    });
    Ok((target, json!({ "defaults": defaults(panel.look, unit), "overrides": overrides })))
}

fn asks_prometheus(panel: &Panel) -> Result<(Value, Vec<Value>, Value), SourceError> {
    let unit = panel.unit.as_deref().ok_or_else(|| SourceError("metrics have no unit".to_owned()))?;
    if panel.metrics.is_empty() {
        return Err(SourceError("neither a query nor metrics".to_owned()));
    }
    let source = json!({ "type": "prometheus", "uid": PROMETHEUS });
    let target = |(metric, letter): (&super::source::Metric, char)| {
        json!({
            "refId": letter.to_string(), "datasource": source, "expr": metric.expr, "legendFormat": metric.legend,
            "range": true, "instant": false,
        })
    };
    let targets = panel.metrics.iter().zip('A'..='Z').map(target).collect();
    Ok((source.clone(), targets, json!({ "defaults": defaults(panel.look, unit), "overrides": [] })))
}

fn defaults(look: Look, unit: &str) -> Value {
    let custom = match look {
        Look::Curve => {
            json!({ "drawStyle": "line", "fillOpacity": 8, "lineWidth": 1, "showPoints": "never", "spanNulls": false })
        }
        Look::Table => json!({ "align": "auto", "filterable": true }),
        Look::Number => json!({}),
    };
    json!({ "unit": unit, "custom": custom })
}

/// A column of a table: its unit, and what it means.
fn of_column(column: &Column, unit: &str) -> Value {
    json!({
        "matcher": { "id": "byName", "options": column.name },
        "properties": [{ "id": "unit", "value": unit }, { "id": "description", "value": column.description }],
    })
}

/// Grafana's name of a unit.
fn grafana_unit(column: &Column) -> &'static str {
    match column.unit {
        Unit::Requests | Unit::Rows | Unit::Count => "short",
        Unit::RequestsPerSecond => "reqps",
        Unit::RequestsPerMinute => "reqpm",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Days => "d",
        Unit::Bytes => "bytes",
        // A share is of a whole; other quotients may be any number.
        Unit::Ratio if column.name.contains("share") || column.name == "availability" => "percentunit",
        Unit::Ratio => "none",
        Unit::Time => "dateTimeAsIso",
        Unit::Text | Unit::Json => "string",
    }
}

/// Alerts and changes, on every curve.
fn annotations() -> Result<Vec<Value>, SourceError> {
    let annotation = |name: &str, color: &str, of: &str, columns: &str, order: &str| {
        let query = query(of)?;
        let sql = selection(query, columns, &sql::of_query(query, &std::collections::BTreeMap::new())?, order);
        Ok(json!({
            "name": name, "enable": true, "hide": false, "iconColor": color, "datasource": clickhouse(),
            "target": {
                "refId": "Anno", "datasource": clickhouse(), "editorType": "sql", "queryType": "table", "format": 1,
                "rawSql": sql,
            },
        }))
    };
    Ok(vec![
        annotation(
            "Alerts",
            "red",
            "alerts_between",
            "at AS time, concat('[', upper(severity), '] ', alert) AS title, summary AS text, concat(alert, ',', severity) AS tags",
            "WHERE event = 'firing'",
        )?,
        annotation(
            "Changes",
            "blue",
            "changes_between",
            "at AS time, concat(kind, ' of ', service, ' ', version) AS title, title AS text, concat(kind, ',', service) AS tags",
            "",
        )?,
    ])
}

fn variables(dashboard: &Dashboard, asks_prometheus: bool) -> Result<Vec<Value>, SourceError> {
    let source = |name: &str, label: &str, kind: &str| {
        json!({
            "name": name, "label": label, "type": "datasource", "query": kind, "current": {}, "hide": 0, "refresh": 1,
            "regex": "", "multi": false, "includeAll": false, "options": [],
        })
    };
    let mut list = vec![source("datasource", "Data source", "grafana-clickhouse-datasource")];
    if asks_prometheus {
        list.push(source("prometheus_datasource", "Prometheus data source", "prometheus"));
    }
    list.push(json!({
        "name": "database", "label": "Database", "type": "constant", "query": "floodmark", "hide": 2,
        "current": { "selected": true, "text": "floodmark", "value": "floodmark" }, "options": [],
        "description": "Where Floodmark's tables are.",
    }));
    for variable in &dashboard.variables {
        list.push(self::variable(variable)?);
    }
    Ok(list)
}

fn variable(variable: &Variable) -> Result<Value, SourceError> {
    let Variable { name, label, description, .. } = variable;
    let mut json = json!({
        "name": name, "label": label, "description": description, "hide": 0, "multi": false, "includeAll": false,
    });
    match (&variable.query, &variable.column) {
        (Some(of), Some(column)) => {
            let query = query(of)?;
            let column = self::column(query, column)?.name.as_str();
            let sql = sql::of_query(query, &variable.parameters)?;
            // In the order of the query: what matters most is offered first. Grafana drops what comes twice.
            let raw_sql = selection(query, column, &sql, "");
            let raw_sql = raw_sql.trim_end();
            json["type"] = json!("query");
            json["datasource"] = clickhouse();
            // With the range: it is what there was in it.
            json["refresh"] = json!(2);
            json["sort"] = json!(0);
            json["definition"] = json!(raw_sql);
            json["query"] = json!(raw_sql);
        }
        _ if !variable.values.is_empty() => {
            let option =
                |value: &String| json!({ "selected": value == &variable.values[0], "text": value, "value": value });
            json["type"] = json!("custom");
            json["query"] = json!(variable.values.join(","));
            json["options"] = variable.values.iter().map(option).collect();
            json["current"] = option(&variable.values[0]);
        }
        _ => return Err(SourceError(format!("variable {name} offers nothing"))),
    }
    Ok(json)
}
