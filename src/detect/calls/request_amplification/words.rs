//! What a person is told of two services between which too many calls are made.

use rustc_hash::FxHashSet;

use super::health::Harm;
use super::hop::Quantity;
use super::layers::path;
use super::picture::Picture;
use crate::detect::words::{bytes, duration, percent, rate, rounded};
use crate::detect::{Finding, Role, Scene};
use crate::model::{Affected, AlertName, Cause, Confidence, Dimension, Dimensions, Timestamp};

/// The finding about `picture`, one of `all`.
pub fn finding(picture: &Picture, all: &[Picture], scene: &Scene<'_>) -> Finding {
    let names = scene.names;
    let pairs = [(Dimension::Caller, picture.caller), (Dimension::Service, picture.service)];
    let labels = pairs.into_iter().filter(|(_, name)| !name.is_absent());
    let layers = path(picture, all);
    let mut causes = vec![cause(picture, all, scene)];
    causes.extend(layers.iter().skip(1).map(|next| cause(next, all, scene)));
    Finding {
        alert: AlertName::RequestAmplification,
        labels: Dimensions::new(labels.map(|(dimension, name)| (dimension, names.text(name).clone()))),
        since: picture.since,
        value: rounded(picture.value),
        baseline: rounded(picture.baseline),
        harm: picture.added_per_second,
        unit: unit(picture),
        causes,
        affected: affected(picture, scene),
        customers: Vec::new(),
        summary: summary(picture, &layers, scene),
        role: Role::Cause,
    }
}

fn unit(picture: &Picture) -> &'static str {
    match (picture.quantity, picture.by_time, picture.serves) {
        (Quantity::Calls, true, _) => "calls per minute",
        (Quantity::Calls, _, true) => "calls per request served",
        (Quantity::Calls, _, false) => "calls per request at the edge",
        (Quantity::Bytes, true, _) => "bytes per minute",
        (Quantity::Bytes, _, true) => "bytes per request served",
        (Quantity::Bytes, _, false) => "bytes per request at the edge",
    }
}

fn summary(picture: &Picture, layers: &[&Picture], scene: &Scene<'_>) -> String {
    let text = |name| scene.names.text(name);
    let number = |value: f64| match picture.quantity {
        Quantity::Calls => format!("{:.3}", rounded(value)).trim_end_matches('0').trim_end_matches('.').to_owned(),
        Quantity::Bytes => bytes(value),
    };
    let what = match picture.quantity {
        Quantity::Calls => format!("makes {} calls to", number(picture.value)),
        Quantity::Bytes => format!("fetches {} from", number(picture.value)),
    };
    let per = match (picture.by_time, picture.serves) {
        (true, _) => "a minute",
        (_, true) => "per request it serves",
        (_, false) => "per request at the edge",
    };
    let route = picture.route.map(|route| format!(" ({})", text(route))).unwrap_or_default();
    let share = percent(picture.load_share.min(1.0));
    let added = match picture.quantity {
        Quantity::Calls => {
            format!("{} additional calls, {share} of all calls between services", rate(picture.added_per_second))
        }
        Quantity::Bytes => format!("{} a second more", bytes(picture.added_per_second)),
    };
    let mut parts = vec![format!(
        "{} {what} {}{route} {per} (normal {}), {:.1} times the normal: {added}",
        text(picture.caller),
        text(picture.service),
        number(picture.baseline),
        picture.factor,
    )];
    parts.extend(repeats(picture));
    parts.push(harm(picture, scene));
    if !layers.is_empty() {
        parts.push(multiplied(layers, scene));
    }
    parts.join("; ")
}

fn repeats(picture: &Picture) -> Option<String> {
    let (now, normal) = picture.repeated.filter(|_| picture.repeats())?;
    let times = |share: f64| 1.0 / (1.0 - share).max(0.001);
    Some(format!("the same key is asked for {:.1} times (normal {:.1})", times(now), times(normal)))
}

fn harm(picture: &Picture, scene: &Scene<'_>) -> String {
    let Some((who, harm)) = picture.harm else {
        return format!("{} bears it so far", scene.names.text(picture.service));
    };
    let who = who.map_or_else(|| "the edge".to_owned(), |name| scene.names.text(name).to_string());
    match harm {
        Harm::Failing(now, normal) => {
            format!("{who} fails {} of its requests (normal {})", percent(now), percent(normal))
        }
        Harm::Slower(times) => format!("{who} answers {times:.1} times slower than normal"),
    }
}

fn multiplied(layers: &[&Picture], scene: &Scene<'_>) -> String {
    let text = |name| scene.names.text(name);
    let hops: Vec<String> = layers
        .iter()
        .map(|hop| format!("{} → {} {:.1} times", text(hop.caller), text(hop.service), hop.factor))
        .collect();
    let product: f64 = layers.iter().map(|hop| hop.factor).product();
    format!("layers multiply: {}, together {product:.0} times", hops.join(", "))
}

fn cause(picture: &Picture, all: &[Picture], scene: &Scene<'_>) -> Cause {
    let pairs = [
        (Dimension::Caller, Some(picture.caller)),
        (Dimension::Service, Some(picture.service)),
        (Dimension::Route, picture.route),
    ];
    let named = pairs.into_iter().filter_map(|(dimension, name)| Some((dimension, name?)));
    let named = named.filter(|(_, name)| !name.is_absent());
    let added: f64 = all.iter().map(|other| other.calls_added).sum();
    let share = if added > 0.0 { picture.calls_added / added } else { 1.0 };
    let route = match picture.route {
        Some(_) => format!("one route makes {} of the excess", percent(picture.route_share)),
        None => "the excess is on several routes".to_owned(),
    };
    let since: Timestamp = picture.since;
    Cause {
        dimensions: Dimensions::new(named.map(|(dimension, name)| (dimension, scene.names.text(name).clone()))),
        share: rounded(share),
        confidence: if picture.harm.is_some() || picture.repeats() { Confidence::High } else { Confidence::Medium },
        evidence: format!(
            "{:.1} times the calls that its load explains, for {} since {since}; {} of the load of {}, which has {:.1} \
             times its normal load; {route}",
            picture.factor,
            duration(scene.window.end.since(since)),
            percent(picture.callee_share.min(1.0)),
            scene.names.text(picture.service),
            picture.callee_growth,
        ),
    }
}

/// Subscriptions whose requests it was called for in the last minute.
fn affected(picture: &Picture, scene: &Scene<'_>) -> Affected {
    let mut subscriptions = FxHashSet::default();
    for (key, _) in scene.recent.cells() {
        if key.caller == picture.caller && key.service == picture.service {
            subscriptions.insert(key.subscription);
        }
    }
    Affected { subscriptions: subscriptions.len() as u64, requests_share: rounded(picture.load_share.min(1.0)) }
}
