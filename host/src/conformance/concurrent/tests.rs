//! Histories by hand, of which it is known whether an order explains them, and the search compared
//! with trying every order.

use super::history::{Answer, Call, Operation, Seen};
use super::judge::{About, Judgement, judge};
use super::search::{Needs, State, Step, Verdict, search};
use super::value::Id;

fn id(number: u32) -> Id {
    Id { process: 1, number }
}

/// Of a generation whose version is its number.
fn seen(number: u32) -> Seen {
    let (size, checksum) = id(number).sum();
    Seen { size, checksum: Some(checksum), version: Some(number.to_string()) }
}

fn call(number: u32, begin: u64, end: u64, call: Call, answer: Answer) -> Operation {
    let end = (!matches!(answer, Answer::Unknown(_))).then_some(end);
    Operation { id: id(number), thread: 0, call, begin, end, answer }
}

fn put(number: u32, begin: u64, end: u64) -> Operation {
    call(number, begin, end, Call::Write, Answer::Stored(seen(number)))
}

fn get(number: u32, begin: u64, end: u64, of: u32) -> Operation {
    call(number, begin, end, Call::Read, Answer::Got(id(of), seen(of)))
}

fn absent(number: u32, begin: u64, end: u64) -> Operation {
    call(number, begin, end, Call::Stat, Answer::Absent)
}

fn delete(number: u32, begin: u64, end: u64) -> Operation {
    call(number, begin, end, Call::Delete, Answer::Deleted)
}

fn create(number: u32, begin: u64, end: u64) -> Operation {
    call(number, begin, end, Call::Create, Answer::Stored(seen(number)))
}

fn replace(number: u32, begin: u64, end: u64, of: u32) -> Operation {
    call(number, begin, end, Call::Replace(of.to_string()), Answer::Stored(seen(number)))
}

fn differs(number: u32, begin: u64, end: u64, of: u32) -> Operation {
    call(number, begin, end, Call::Replace(of.to_string()), Answer::Differs)
}

fn delete_if(number: u32, begin: u64, end: u64, of: u32) -> Operation {
    call(number, begin, end, Call::DeleteIf(of.to_string()), Answer::Deleted)
}

fn stays(number: u32, begin: u64, end: u64, of: u32) -> Operation {
    call(number, begin, end, Call::DeleteIf(of.to_string()), Answer::Differs)
}

fn unknown(mut operation: Operation) -> Operation {
    (operation.end, operation.answer) = (None, Answer::Unknown("killed".into()));
    operation
}

fn fails(operations: &[Operation]) -> Option<About> {
    match judge(operations) {
        Judgement::Explained => None,
        Judgement::Broken(about, failure) => {
            assert!(failure.is_reduced && !failure.calls.is_empty(), "{failure}");
            Some(about)
        }
        Judgement::Undecided => panic!("it is small enough to be decided"),
    }
}

#[test]
fn what_an_order_explains() {
    let exists = |n, begin, end| call(n, begin, end, Call::Create, Answer::Exists);
    let by_get = Answer::Got(id(1), Seen { version: None, ..seen(1) });
    let refused = Answer::Refused("no-space".into());
    let cases: &[&[Operation]] = &[
        &[],
        &[absent(1, 0, 1), put(2, 2, 3), get(3, 4, 5, 2), delete(4, 6, 7), absent(5, 8, 9)],
        // While a put is under way, one sees it and the next one too, or both do not.
        &[put(1, 0, 1), put(2, 2, 9), get(3, 3, 4, 1), get(4, 5, 6, 2), get(5, 7, 8, 2)],
        // Which of two puts at once came last is what a read says.
        &[put(1, 0, 9), put(2, 0, 9), get(3, 10, 11, 1), get(4, 12, 13, 1)],
        // At one time is at once.
        &[put(1, 0, 5), absent(2, 5, 6)],
        &[create(1, 0, 9), exists(2, 0, 9), get(3, 10, 11, 1)],
        &[create(1, 0, 2), delete(2, 3, 4), create(3, 5, 6)],
        &[put(1, 0, 1), replace(2, 2, 9, 1), differs(3, 2, 9, 1), get(4, 10, 11, 2)],
        // Two replaces of one after the other.
        &[put(1, 0, 1), replace(2, 2, 9, 1), replace(3, 2, 9, 2), get(4, 10, 11, 3)],
        // A put has come between.
        &[put(1, 0, 1), put(2, 2, 3), differs(3, 4, 5, 1)],
        // Without an answer: never, at once, or late.
        &[put(1, 0, 1), unknown(put(2, 2, 3)), get(3, 4, 5, 1), get(4, 6, 7, 1)],
        &[put(1, 0, 1), unknown(put(2, 2, 3)), get(3, 4, 5, 2), get(4, 6, 7, 2)],
        &[put(1, 0, 1), unknown(put(2, 2, 3)), get(3, 4, 5, 1), get(4, 600, 700, 2)],
        &[put(1, 0, 1), unknown(delete(2, 2, 3)), get(3, 4, 5, 1), absent(4, 6, 7)],
        &[unknown(create(1, 0, 1)), exists(2, 2, 3), delete(3, 4, 5), absent(4, 6, 7)],
        &[put(1, 0, 1), unknown(replace(2, 2, 3, 1)), differs(3, 4, 5, 1), get(4, 6, 7, 2)],
        // A deletion of one version, and of one that is gone already.
        &[put(1, 0, 1), delete_if(2, 2, 3, 1), absent(3, 4, 5), delete_if(4, 6, 7, 1)],
        &[put(1, 0, 1), put(2, 2, 9), stays(3, 2, 9, 1), get(4, 10, 11, 2)],
        &[put(1, 0, 1), put(2, 2, 9), delete_if(3, 2, 9, 1), get(4, 10, 11, 2)],
        &[put(1, 0, 1), replace(2, 2, 9, 1), stays(3, 2, 9, 1), get(4, 10, 11, 2)],
        &[put(1, 0, 1), unknown(delete_if(2, 2, 3, 1)), put(3, 4, 5), get(4, 6, 7, 3)],
        // A read without an answer shows nothing.
        &[put(1, 0, 1), unknown(get(2, 2, 3, 1))],
        // What was refused is not stored; a get tells no version.
        &[put(1, 0, 1), call(2, 2, 3, Call::Put, refused), call(3, 4, 5, Call::Get, by_get)],
    ];
    for (number, case) in cases.iter().enumerate() {
        assert_eq!(fails(case), None, "case {number}: {case:?}");
    }
}

#[test]
fn what_no_order_explains() {
    let exists = |n, begin, end| call(n, begin, end, Call::Create, Answer::Exists);
    let of_put = |number| Answer::Got(id(number), seen(number));
    let failed = call(2, 2, 3, Call::Put, Answer::Refused("no-space".into()));
    let stated = Seen { size: 1, ..seen(1) };
    let renamed = Seen { version: Some("other".into()), ..seen(1) };
    let shared = Seen { version: Some("1".into()), ..seen(2) };
    let half = Answer::Damaged("half of it".into());
    let cases: &[(About, &str, &[Operation])] = &[
        (About::Order, "a lost put", &[put(1, 0, 1), absent(2, 2, 3)]),
        (About::Order, "a stale read", &[put(1, 0, 1), put(2, 2, 3), get(3, 4, 5, 1)]),
        (
            About::Order,
            "back to the old state under a put",
            &[put(1, 0, 1), put(2, 2, 9), get(3, 3, 4, 2), get(4, 5, 6, 1)],
        ),
        (
            About::Order,
            "two readers see two orders",
            &[put(1, 0, 9), put(2, 0, 9), get(3, 10, 11, 1), get(4, 12, 13, 2)],
        ),
        (
            About::Order,
            "deleted and back",
            &[put(1, 0, 1), delete(2, 2, 3), absent(3, 4, 5), get(4, 6, 7, 1)],
        ),
        (
            About::Order,
            "without an answer: there, and then not",
            &[put(1, 0, 1), unknown(put(2, 2, 3)), get(3, 4, 5, 2), get(4, 6, 7, 1)],
        ),
        (
            About::Order,
            "one delete without an answer, twice",
            &[
                put(1, 0, 1),
                unknown(delete(2, 2, 3)),
                absent(3, 4, 5),
                put(4, 6, 7),
                absent(5, 8, 9),
            ],
        ),
        (
            About::Order,
            "stale by what a replace was told",
            &[put(1, 0, 1), put(2, 2, 9), differs(3, 4, 5, 1), get(4, 6, 7, 1)],
        ),
        (About::Order, "read before it was written", &[get(1, 0, 1, 2), put(2, 2, 3)]),
        (About::Order, "of nobody", &[put(1, 0, 1), call(2, 2, 3, Call::Read, of_put(7))]),
        (About::Order, "half", &[put(1, 0, 1), call(2, 2, 3, Call::Read, half)]),
        (About::Order, "refused and stored", &[put(1, 0, 1), failed, get(3, 4, 5, 2)]),
        (
            About::Order,
            "a stat of none",
            &[
                put(1, 0, 1),
                call(2, 2, 3, Call::Stat, Answer::Stated(Seen { version: None, ..stated })),
            ],
        ),
        (About::Creates, "two winners", &[create(1, 0, 9), create(2, 0, 9)]),
        (About::Creates, "over another", &[put(1, 0, 1), create(2, 2, 3), get(3, 4, 5, 2)]),
        (About::Creates, "exists where nothing is", &[absent(1, 0, 1), exists(2, 2, 3)]),
        (
            About::Replaces,
            "a lost update",
            &[put(1, 0, 1), replace(2, 2, 9, 1), replace(3, 2, 9, 1)],
        ),
        (
            About::Replaces,
            "over an acknowledged put",
            &[put(1, 0, 1), put(2, 2, 3), replace(3, 2, 9, 1), get(4, 4, 5, 2), get(5, 10, 11, 3)],
        ),
        (
            About::Deletions,
            "a put that a deletion of the one before removed",
            &[put(1, 0, 1), put(2, 2, 3), delete_if(3, 4, 5, 1), absent(4, 6, 7)],
        ),
        (
            About::Deletions,
            "late, and of another",
            &[put(1, 0, 1), unknown(delete_if(2, 2, 3, 1)), put(3, 4, 5), absent(4, 6, 7)],
        ),
        (
            About::Deletions,
            "a deletion and a replace of one generation",
            &[put(1, 0, 1), replace(2, 2, 9, 1), delete_if(3, 2, 9, 1), absent(4, 10, 11)],
        ),
        (About::Deletions, "stays and goes", &[put(1, 0, 1), stays(2, 2, 3, 1)]),
        (
            About::Deletions,
            "stays where nothing is",
            &[put(1, 0, 1), delete(2, 2, 3), stays(3, 4, 5, 1)],
        ),
        (About::Replaces, "differs and does not", &[put(1, 0, 1), differs(2, 2, 3, 1)]),
        (
            About::Replaces,
            "of what was deleted",
            &[put(1, 0, 1), delete(2, 2, 3), replace(3, 4, 5, 1)],
        ),
        (
            About::Versions,
            "one generation, two versions",
            &[put(1, 0, 1), call(2, 2, 3, Call::Read, Answer::Got(id(1), renamed))],
        ),
        (
            About::Versions,
            "two generations, one version",
            &[put(1, 0, 1), call(2, 2, 3, Call::Write, Answer::Stored(shared))],
        ),
        (
            About::Versions,
            "an info of other bytes",
            &[put(1, 0, 1), call(2, 2, 3, Call::Write, Answer::Stored(seen(1)))],
        ),
    ];
    for (about, name, case) in cases {
        assert_eq!(fails(case), Some(*about), "{name}");
    }
}

#[test]
fn the_smallest_part_is_shown() {
    // A stale read among many calls that have nothing to do with it.
    let mut operations = Vec::new();
    for n in 0..60_u64 {
        operations.push(put(10 + n as u32, n * 10, n * 10 + 15));
        operations.push(get(100 + n as u32, n * 10 + 16, n * 10 + 18, 10 + n as u32));
    }
    operations.push(unknown(put(5, 20, 30)));
    operations.push(get(6, 650, 660, 40));
    operations.push(get(7, 670, 680, 69));
    let Judgement::Broken(About::Order, failure) = judge(&operations) else { panic!() };
    assert!(failure.is_reduced);
    let calls: Vec<_> = failure.calls.iter().map(|it| it.to_string()).collect();
    let text = calls.join("\n");
    assert!(calls.len() <= 6, "{text}");
    assert!(text.contains("process 1 thread 0: write(value 1.40) -> ok, version \"40\""), "{text}");
    assert!(text.contains("read() -> value 1.40, version \"40\""), "{text}");
    assert!(text.contains(" other calls on the key explain nothing"), "{text}");
    assert!(failure.seen.contains("value 1.40"), "{failure}");
}

/// A pseudo-random number below `end`.
fn dice(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

/// Whether some order of the steps that are left explains them, tried one after the other.
fn is_any(steps: &[Step], left: &[usize], state: State) -> bool {
    if left.iter().all(|at| steps[*at].end.is_none()) {
        return true;
    }
    left.iter().any(|at| {
        let step = &steps[*at];
        // It cannot come before one that had ended before it began.
        let is_next =
            left.iter().all(|other| steps[*other].end.is_none_or(|end| end >= step.begin));
        let rest: Vec<_> = left.iter().copied().filter(|other| other != at).collect();
        let fits = match &step.needs {
            Needs::Anything => true,
            Needs::Absent => state.is_none(),
            Needs::Present => state.is_some(),
            Needs::OneOf(values) => state.is_some_and(|value| values.contains(&value)),
            Needs::Other(value) => state != Some(*value),
            Needs::Another(value) => state.is_some_and(|state| state != *value),
            Needs::AbsentOr(values) => state.is_none_or(|value| values.contains(&value)),
        };
        is_next && fits && is_any(steps, &rest, step.then.unwrap_or(state))
    })
}

#[test]
fn the_search_finds_what_trying_every_order_finds() {
    let (mut random, mut explained) = (1, 0);
    const ROUNDS: usize = 20_000;
    for round in 0..ROUNDS {
        let count = 1 + dice(&mut random, 6) as u32;
        let steps: Vec<_> = (0..count)
            .map(|number| {
                let begin = dice(&mut random, 12);
                let other = id(dice(&mut random, count.into()) as u32);
                let needs = match dice(&mut random, 10) {
                    0..=2 => Needs::Anything,
                    3 => Needs::Absent,
                    4 => Needs::Present,
                    5 => Needs::Other(other),
                    6 => Needs::Another(other),
                    7 => Needs::AbsentOr(vec![other]),
                    _ => Needs::OneOf(vec![other]),
                };
                let then = match dice(&mut random, 5) {
                    0..=1 => None,
                    2 => Some(None),
                    _ => Some(Some(id(number))),
                };
                let end = begin + dice(&mut random, 8);
                let end = (dice(&mut random, 5) > 0).then_some(end);
                Step { of: number as usize, begin, end, needs, then }
            })
            .collect();
        let is_explained = is_any(&steps, &(0..steps.len()).collect::<Vec<_>>(), None);
        let verdict = search(&steps, &[None]);
        assert_eq!(verdict == Verdict::Explained, is_explained, "{round}: {verdict:?} {steps:?}");
        explained += usize::from(is_explained);
    }
    assert!((ROUNDS / 10..ROUNDS * 9 / 10).contains(&explained), "{explained}");
}
