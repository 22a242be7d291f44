//! Layers multiply: where each of three calls the next four times instead of once, the last is called 64 times.

use super::picture::Picture;

/// Hops of a path; services that call each other in a circle end it too.
const HOPS_MAX: usize = 8;

/// The path of amplified hops that begins with `first`: at each service the hop that multiplies most. Nothing when
/// another amplified hop leads to `first`, or none leads on from it.
pub fn path<'a>(first: &'a Picture, all: &'a [Picture]) -> Vec<&'a Picture> {
    if all.iter().any(|other| other.service == first.caller && other.caller != first.service) {
        return Vec::new();
    }
    let mut path = vec![first];
    while path.len() < HOPS_MAX {
        let last = path[path.len() - 1];
        let on = all.iter().filter(|next| next.caller == last.service && !path.iter().any(|p| p.caller == next.caller));
        // Of equals the first by name: `all` is in that order.
        let next = on.rev().max_by(|a, b| a.factor.total_cmp(&b.factor));
        match next {
            Some(next) => path.push(next),
            None => break,
        }
    }
    if path.len() > 1 { path } else { Vec::new() }
}

/// The first of several layers answers for all of them: for the calls it has the others make, and for who suffers.
pub fn add_up(pictures: &mut [Picture]) {
    let of_path = |first: &Picture| {
        let path = path(first, pictures);
        let share: f64 = path.iter().map(|hop| hop.load_share).sum();
        (!path.is_empty()).then(|| (share, path.iter().find_map(|hop| hop.harm)))
    };
    let sums: Vec<_> = pictures.iter().map(of_path).collect();
    for (picture, sum) in pictures.iter_mut().zip(sums) {
        if let Some((share, harm)) = sum {
            picture.load_share = share;
            picture.harm = harm;
        }
    }
}
