//! Names in a scenario must lead somewhere, and calls must end.

use crate::config::Problem;
use crate::model::Text;

use super::spec::{EffectKind, PlatformScenario};

/// Collects names that lead nowhere.
pub(super) struct References<'a> {
    scenario: &'a PlatformScenario,
    problems: Vec<Problem>,
}

impl<'a> References<'a> {
    /// Every name that leads nowhere, every name that stands twice, every call that could go in circles.
    pub(super) fn problems(scenario: &'a PlatformScenario) -> Vec<Problem> {
        let mut references = Self { scenario, problems: Vec::new() };
        references.routes();
        references.groups();
        references.effects();
        references.duplicates();
        references.problems
    }

    fn found(&mut self, found: bool, key: &str, what: &str, name: &str) {
        if !found {
            self.problems.push(Problem { key: key.to_owned(), message: format!("there is no {what} named {name:?}") });
        }
    }

    fn service(&mut self, key: &str, name: &str) {
        let found = self.scenario.services.iter().any(|service| service.name == name);
        self.found(found, key, "service", name);
    }

    fn route(&mut self, key: &str, name: &str) {
        let found = self.scenario.routes.iter().any(|route| route.name == name);
        self.found(found, key, "route", name);
    }

    fn group(&mut self, key: &str, name: &str) {
        let found = self.scenario.groups.iter().any(|group| group.name == name);
        self.found(found, key, "group", name);
    }

    fn source(&mut self, key: &str, what: &str, sources: &[&Text], name: &str) {
        self.found(sources.iter().any(|source| *source == name), key, what, name);
    }

    fn routes(&mut self) {
        let scenario = self.scenario;
        let pools: Vec<&Text> = scenario.pools.iter().map(|pool| &pool.source).collect();
        let stores: Vec<&Text> = scenario.stores.iter().map(|store| &store.source).collect();
        let origins: Vec<&Text> = scenario.queries.iter().map(|query| &query.origin).collect();
        let caches: Vec<&Text> = scenario.caches.iter().map(|cache| &cache.source).collect();
        for (i, route) in scenario.routes.iter().enumerate() {
            let key = format!("routes[{i}]");
            self.service(&format!("{key}.service"), &route.service);
            let named =
                [("pool", &route.pool, &pools), ("store", &route.store, &stores), ("query", &route.query, &origins)];
            for (what, name, sources) in named {
                if let Some(name) = name {
                    self.source(&format!("{key}.{what}"), what, sources, name);
                }
            }
            for (j, call) in route.calls.iter().enumerate() {
                let later = scenario.routes.iter().skip(i + 1).any(|later| later.name == call.route);
                self.found(later, &format!("{key}.calls[{j}].route"), "route further down", &call.route);
                if let Some(cache) = &call.cache {
                    self.source(&format!("{key}.calls[{j}].cache"), "cache", &caches, cache);
                }
            }
        }
        if !origins.is_empty() {
            self.found(!scenario.nodes.is_empty(), "nodes", "node", "that could run queries");
        }
    }

    fn version(&mut self, key: &str, client: &str, version: &str) {
        let found = self.scenario.versions.iter().any(|v| v.client == client && v.version == version);
        self.found(found, key, &format!("version of {client}"), version);
    }

    fn groups(&mut self) {
        for (i, group) in self.scenario.groups.iter().enumerate() {
            group.routes.keys().for_each(|name| self.route(&format!("groups[{i}].routes"), name));
            for name in group.versions.keys() {
                self.version(&format!("groups[{i}].versions"), &group.client, name);
            }
        }
    }

    fn effects(&mut self) {
        let scenario = self.scenario;
        let pools: Vec<&Text> = scenario.pools.iter().map(|pool| &pool.source).collect();
        let gauges: Vec<&Text> = scenario.gauges.iter().map(|gauge| &gauge.source).collect();
        let caches: Vec<&Text> = scenario.caches.iter().map(|cache| &cache.source).collect();
        let origins: Vec<&Text> = scenario.queries.iter().map(|query| &query.origin).collect();
        for (i, effect) in scenario.effects.iter().enumerate() {
            let key = &format!("effects[{i}].what");
            match &effect.what {
                EffectKind::Surge { group, route, .. } => {
                    self.group(key, group);
                    route.iter().for_each(|route| self.route(key, route));
                }
                EffectKind::Install { group, version, .. } => {
                    self.group(key, group);
                    if let Some(group) = scenario.groups.iter().find(|spec| spec.name == *group) {
                        self.version(key, &group.client, version);
                    }
                }
                EffectKind::Fail { service, route, .. } | EffectKind::Slow { service, route, .. } => {
                    self.service(key, service);
                    route.iter().for_each(|route| self.route(key, route));
                }
                EffectKind::Payload { route, .. } => self.route(key, route),
                EffectKind::Capacity { service, .. }
                | EffectKind::ReplicaLeak { service, .. }
                | EffectKind::Deploy { service } => self.service(key, service),
                EffectKind::CacheLoss { cache, .. } => self.source(key, "cache", &caches, cache),
                EffectKind::Calls { from, to, .. } => {
                    self.route(key, from);
                    self.route(key, to);
                }
                EffectKind::PoolLeak { pool, .. } | EffectKind::PoolSlow { pool, .. } => {
                    self.source(key, "pool", &pools, pool);
                }
                EffectKind::GaugeLeak { source, .. } => self.source(key, "gauge", &gauges, source),
                EffectKind::Query { origin, .. } => self.source(key, "query of origin", &origins, origin),
            }
        }
    }

    /// Names are how sections refer to each other: twice the same one would hide the second.
    fn duplicates(&mut self) {
        let scenario = self.scenario;
        let lists: [(&str, Vec<&Text>); 4] = [
            ("services", scenario.services.iter().map(|service| &service.name).collect()),
            ("routes", scenario.routes.iter().map(|route| &route.name).collect()),
            ("groups", scenario.groups.iter().map(|group| &group.name).collect()),
            ("queries", scenario.queries.iter().map(|query| &query.origin).collect()),
        ];
        for (key, mut names) in lists {
            names.sort_unstable();
            for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
                let message = format!("{:?} stands there twice", pair[0]);
                self.problems.push(Problem { key: key.to_owned(), message });
            }
        }
    }
}
