//! What the platform is like now: the scenario with the effects that hold at this moment.

use crate::model::Text;
use crate::sim::plan::{bytes, cumulative, micros};
use crate::sim::schedule::Micros;

use super::spec::{EffectKind, EffectSpec, PlatformScenario};

/// A failure that an effect causes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failing {
    pub share: f64,
    pub status: u16,
}

#[derive(Debug, Clone)]
pub(super) struct ServiceNow {
    pub capacity_factor: f64,
    pub leak_bytes_per_second: f64,
}

#[derive(Debug, Clone)]
pub(super) struct RouteNow {
    pub failing: Failing,
    pub slow: f64,
    pub payload: f64,
    /// Times each call is made for one request.
    pub calls: Vec<f64>,
}

#[derive(Debug, Clone)]
pub(super) struct GroupNow {
    /// Times the usual load.
    pub factor: f64,
    /// Cumulative weights of its routes.
    pub routes: Vec<f64>,
}

#[derive(Debug, Clone)]
pub(super) struct PoolNow {
    pub leak_share: f64,
    pub slow: f64,
}

#[derive(Debug, Clone)]
pub(super) struct QueryNow {
    pub version: Option<Text>,
    pub memory_factor: f64,
    pub work_factor: f64,
}

/// Everything that effects change, in the order of the scenario's lists.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    pub groups: Vec<GroupNow>,
    pub services: Vec<ServiceNow>,
    pub routes: Vec<RouteNow>,
    /// Hit ratio that a cache is held at.
    pub caches: Vec<Option<f64>>,
    pub pools: Vec<PoolNow>,
    /// Bytes a second.
    pub gauges: Vec<f64>,
    pub queries: Vec<QueryNow>,
    /// When other effects hold than now.
    pub until_us: Micros,
}

fn ends_us(effect: &EffectSpec) -> Micros {
    effect.lasts.map_or(Micros::MAX, |lasts| micros(effect.at).saturating_add(micros(lasts)))
}

impl Conditions {
    /// The conditions from `now_us` on.
    pub(super) fn at(scenario: &PlatformScenario, now_us: Micros) -> Self {
        let mut conditions = Self::usual(scenario);
        let mut weights: Vec<Vec<f64>> =
            scenario.groups.iter().map(|group| group.routes.values().copied().collect()).collect();
        for effect in &scenario.effects {
            for boundary in [micros(effect.at), ends_us(effect)] {
                if boundary > now_us {
                    conditions.until_us = conditions.until_us.min(boundary);
                }
            }
            if (micros(effect.at)..ends_us(effect)).contains(&now_us) {
                conditions.apply(scenario, &effect.what, &mut weights);
            }
        }
        for ((now, group), weights) in conditions.groups.iter_mut().zip(&scenario.groups).zip(weights) {
            let usual: f64 = group.routes.values().sum();
            now.factor = weights.iter().sum::<f64>() / usual;
            now.routes = cumulative(weights.into_iter());
        }
        conditions
    }

    fn usual(scenario: &PlatformScenario) -> Self {
        let route = |route: &super::spec::InternalRouteSpec| RouteNow {
            failing: Failing::default(),
            slow: 1.0,
            payload: 1.0,
            calls: route.calls.iter().map(|call| call.times).collect(),
        };
        let query = |query: &super::spec::QuerySpec| QueryNow {
            version: query.version.clone(),
            memory_factor: 1.0,
            work_factor: 1.0,
        };
        Self {
            groups: scenario.groups.iter().map(|_| GroupNow { factor: 1.0, routes: Vec::new() }).collect(),
            services: vec![ServiceNow { capacity_factor: 1.0, leak_bytes_per_second: 0.0 }; scenario.services.len()],
            routes: scenario.routes.iter().map(route).collect(),
            caches: vec![None; scenario.caches.len()],
            pools: vec![PoolNow { leak_share: 0.0, slow: 1.0 }; scenario.pools.len()],
            gauges: vec![0.0; scenario.gauges.len()],
            queries: scenario.queries.iter().map(query).collect(),
            until_us: Micros::MAX,
        }
    }

    fn apply(&mut self, scenario: &PlatformScenario, what: &EffectKind, weights: &mut [Vec<f64>]) {
        match what {
            EffectKind::Surge { group, factor, route } => surge(scenario, weights, group, *factor, route.as_ref()),
            EffectKind::Fail { service, route, share, status } => {
                self.each_route(scenario, service, route.as_ref(), |now| {
                    now.failing = Failing { share: *share, status: *status };
                });
            }
            EffectKind::Slow { service, route, factor } => {
                self.each_route(scenario, service, route.as_ref(), |now| now.slow *= factor);
            }
            EffectKind::Payload { route, factor } => {
                let found = scenario.routes.iter().zip(&mut self.routes).filter(|(spec, _)| spec.name == *route);
                found.for_each(|(_, now)| now.payload *= factor);
            }
            EffectKind::Capacity { service, factor } => {
                let found = scenario.services.iter().zip(&mut self.services);
                found.filter(|(spec, _)| spec.name == *service).for_each(|(_, now)| now.capacity_factor *= factor);
            }
            EffectKind::CacheLoss { cache, hit_ratio } => {
                let found = scenario.caches.iter().zip(&mut self.caches);
                found.filter(|(spec, _)| spec.source == *cache).for_each(|(_, now)| *now = Some(*hit_ratio));
            }
            EffectKind::Calls { from, to, factor } => {
                for (spec, now) in scenario.routes.iter().zip(&mut self.routes).filter(|(spec, _)| spec.name == *from) {
                    let calls = spec.calls.iter().zip(&mut now.calls).filter(|(call, _)| call.route == *to);
                    calls.for_each(|(_, times)| *times *= factor);
                }
            }
            EffectKind::PoolLeak { pool, share } => {
                let found = scenario.pools.iter().zip(&mut self.pools).filter(|(spec, _)| spec.source == *pool);
                found.for_each(|(_, now)| now.leak_share = *share);
            }
            EffectKind::PoolSlow { pool, factor } => {
                let found = scenario.pools.iter().zip(&mut self.pools).filter(|(spec, _)| spec.source == *pool);
                found.for_each(|(_, now)| now.slow *= factor);
            }
            EffectKind::ReplicaLeak { service, per_hour } => {
                let per_second = bytes(*per_hour) as f64 / 3_600.0;
                let found = scenario.services.iter().zip(&mut self.services);
                let found = found.filter(|(spec, _)| spec.name == *service);
                found.for_each(|(_, now)| now.leak_bytes_per_second += per_second);
            }
            EffectKind::GaugeLeak { source, per_hour } => {
                let found = scenario.gauges.iter().zip(&mut self.gauges).filter(|(spec, _)| spec.source == *source);
                found.for_each(|(_, now)| *now += bytes(*per_hour) as f64 / 3_600.0);
            }
            EffectKind::Query { origin, version, memory_factor, work_factor } => {
                let found = scenario.queries.iter().zip(&mut self.queries).filter(|(spec, _)| spec.origin == *origin);
                for (_, now) in found {
                    now.version = version.clone().or(now.version.take());
                    now.memory_factor *= memory_factor;
                    now.work_factor *= work_factor;
                }
            }
            // These happen once, or to one customer after the other: `Happenings` and `Customers` have them.
            EffectKind::Install { .. } | EffectKind::Deploy { .. } => {}
        }
    }

    fn each_route(
        &mut self,
        scenario: &PlatformScenario,
        service: &str,
        route: Option<&Text>,
        change: impl Fn(&mut RouteNow),
    ) {
        let of_service = |spec: &super::spec::InternalRouteSpec| {
            spec.service == service && route.is_none_or(|route| spec.name == *route)
        };
        let found = scenario.routes.iter().zip(&mut self.routes).filter(|(spec, _)| of_service(spec));
        found.for_each(|(_, now)| change(now));
    }
}

fn surge(scenario: &PlatformScenario, weights: &mut [Vec<f64>], group: &str, factor: f64, only: Option<&Text>) {
    let groups = scenario.groups.iter().zip(weights).filter(|(spec, _)| spec.name == group);
    for (spec, weights) in groups {
        let routes = spec.routes.keys().zip(weights).filter(|(name, _)| only.is_none_or(|only| only == name.as_str()));
        routes.for_each(|(_, weight)| *weight *= factor);
    }
}
