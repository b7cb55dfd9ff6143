//! The calls before a crash.

use bytes::Bytes;

use super::backend::{Step, value};
use crate::chunk::CHUNK;

pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The artifacts that are stored durably at the start.
    pub(super) before: Vec<(String, Bytes)>,
    /// Whether one of them has been replaced by its version before.
    pub(super) uses_versions: bool,
    pub(super) steps: Vec<Step>,
    /// Whether the process of the first step is killed before each of its calls in turn, while the
    /// machine keeps running, and another process does the second step.
    pub(super) is_killed: bool,
}

/// The key of most steps.
pub(super) const KEY: &str = "crash/key";

pub(super) fn scenarios(neighbours: &[String]) -> Vec<Scenario> {
    let small = |seed| value(seed, 300);
    let large = |seed| value(seed, CHUNK + 1000);
    let key = || KEY.to_owned();
    let beside = || -> Vec<_> {
        neighbours.iter().zip(100..).map(|(key, seed)| (key.clone(), small(seed))).collect()
    };
    let with_old = || beside().into_iter().chain([(key(), small(1))]).collect::<Vec<_>>();
    let other = neighbours.first().cloned().unwrap_or_else(|| "crash/other".into());
    let scenario = |name, before, steps| Scenario {
        name,
        before,
        uses_versions: false,
        steps,
        is_killed: false,
    };
    let mut all = vec![
        scenario("first put in an empty directory", vec![], vec![Step::Put(key(), small(2))]),
        scenario("put of a new key", beside(), vec![Step::Put(key(), small(2))]),
        scenario("put over an artifact", with_old(), vec![Step::Put(key(), small(2))]),
        scenario(
            "put of nothing over an artifact",
            with_old(),
            vec![Step::Put(key(), Bytes::new())],
        ),
        scenario("put of several chunks", with_old(), vec![Step::Put(key(), large(2))]),
        scenario("create", beside(), vec![Step::Create(key(), small(2))]),
        scenario("streaming write of a new key", beside(), vec![Step::Write(key(), large(2))]),
        scenario(
            "streaming write over an artifact",
            with_old(),
            vec![Step::Write(key(), small(2))],
        ),
        scenario(
            "copy over an artifact",
            with_old().into_iter().chain([("crash/source".into(), large(3))]).collect(),
            vec![Step::Copy("crash/source".into(), key(), large(3))],
        ),
        scenario("delete", with_old(), vec![Step::Delete(key())]),
        scenario("delete of the only artifact", vec![(key(), small(1))], vec![Step::Delete(key())]),
        scenario(
            "put, delete and put of one key",
            vec![],
            vec![Step::Put(key(), small(2)), Step::Delete(key()), Step::Put(key(), small(3))],
        ),
        scenario(
            "put of two keys, one after the other",
            vec![],
            vec![Step::Put(key(), small(2)), Step::Put(other.clone(), small(3))],
        ),
        scenario(
            "delete beside a put",
            with_old(),
            vec![Step::Delete(key()), Step::Put(other, small(3))],
        ),
    ];
    all.push(Scenario {
        name: "first put, killed, and again by another process",
        before: vec![],
        uses_versions: false,
        steps: vec![Step::Put(key(), small(2)), Step::Put(key(), small(3))],
        is_killed: true,
    });
    all.push(Scenario {
        name: "delete, killed, and again by another process",
        before: with_old(),
        uses_versions: false,
        steps: vec![Step::Delete(key()), Step::Delete(key())],
        is_killed: true,
    });
    let first = Step::Replace(key(), small(2));
    all.push(scenario("first replace", with_old(), vec![first.clone()]));
    all.push(Scenario {
        name: "first replace, killed, and again by another process",
        before: vec![(key(), small(1))],
        uses_versions: false,
        steps: vec![first, Step::Replace(key(), small(3))],
        is_killed: true,
    });
    let first = Step::DeleteIf(key());
    all.push(scenario("first delete-if", with_old(), vec![first.clone()]));
    all.push(Scenario {
        name: "first delete-if, killed, and a put by another process",
        before: vec![(key(), small(1))],
        uses_versions: false,
        steps: vec![first, Step::Put(key(), small(3))],
        is_killed: true,
    });
    all.extend(with_versions(&beside(), &small));
    all
}

/// Where some artifact was replaced by its version before, so that changes have to claim what they
/// replace.
fn with_versions(
    beside: &[(String, Bytes)],
    small: &impl Fn(u64) -> Bytes,
) -> impl Iterator<Item = Scenario> {
    let key = || KEY.to_owned();
    let put = |seed| Step::Put(key(), small(seed));
    let replace = |seed| Step::Replace(key(), small(seed));
    let delete = || Step::Delete(key());
    let delete_if = || Step::DeleteIf(key());
    let (with_old, alone) = ([beside, &[(key(), small(1))]].concat(), vec![(key(), small(1))]);
    let made = |before: &[_], is_killed| {
        let before = before.to_vec();
        move |(name, steps)| Scenario {
            name,
            before: before.clone(),
            uses_versions: true,
            steps,
            is_killed,
        }
    };
    let whole = [
        ("replace", vec![replace(2)]),
        ("put over an artifact, with claims", vec![put(2)]),
        ("delete, with claims", vec![delete()]),
        ("delete-if", vec![delete_if()]),
        ("replace, delete and put of one key", vec![replace(2), delete(), put(3)]),
    ];
    let killed = [
        ("replace, killed, and again by another process", vec![replace(2), replace(3)]),
        ("put with a claim, killed, and replaced by another process", vec![put(2), replace(3)]),
        ("replace, killed, and deleted by another process", vec![replace(2), delete()]),
        ("delete with a claim, killed, and put by another process", vec![delete(), put(3)]),
        ("delete-if, killed, and put by another process", vec![delete_if(), put(3)]),
    ];
    let new = ("put of a new key, with claims elsewhere", vec![put(2)]);
    let whole = whole.into_iter().map(made(&with_old, false));
    let new = [new].into_iter().map(made(beside, false));
    whole.chain(new).chain(killed.into_iter().map(made(&alone, true)))
}
