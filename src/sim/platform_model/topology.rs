//! What is connected to what, as indices.

use crate::sim::plan::micros;

use super::spec::PlatformScenario;

/// A call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub route: usize,
    pub cache: Option<usize>,
}

/// A route.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub service: usize,
    pub calls: Vec<Call>,
    pub pool: Option<usize>,
    pub store: Option<usize>,
    pub query: Option<usize>,
}

/// All routes, in the order of the scenario.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    pub routes: Vec<Route>,
}

impl Topology {
    /// Names were checked by `validate`: an unknown one would become the first.
    pub(super) fn build(scenario: &PlatformScenario) -> Self {
        let route = |spec: &super::spec::InternalRouteSpec| {
            let call = |call: &super::spec::CallSpec| Call {
                route: scenario.routes.iter().position(|route| route.name == call.route).unwrap_or(0),
                cache: scenario.caches.iter().position(|cache| call.cache.as_ref() == Some(&cache.source)),
            };
            Route {
                service: scenario.services.iter().position(|service| service.name == spec.service).unwrap_or(0),
                calls: spec.calls.iter().map(call).collect(),
                pool: scenario.pools.iter().position(|pool| spec.pool.as_ref() == Some(&pool.source)),
                store: scenario.stores.iter().position(|store| spec.store.as_ref() == Some(&store.source)),
                query: scenario.queries.iter().position(|query| spec.query.as_ref() == Some(&query.origin)),
            }
        };
        Self { routes: scenario.routes.iter().map(route).collect() }
    }

    /// Mean time of one unit of a service's work, in seconds, over its routes alike.
    pub(super) fn service_seconds(&self, scenario: &PlatformScenario, service: usize) -> f64 {
        let own = scenario.routes.iter().zip(&self.routes).filter(|(_, route)| route.service == service);
        let (sum, count) = own.fold((0.0, 0.0), |(sum, count), (spec, _)| {
            (sum + micros(spec.service_time.median) as f64 / 1e6 / spec.work.max(0.01), count + 1.0)
        });
        if count > 0.0 { sum / count } else { 0.0 }
    }
}
