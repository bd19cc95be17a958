//! Expressions and queries by seed: the same seed always gives the same statement.

mod choices;
mod kinds;
mod queries;
mod templates;

use choices::choices;
use kinds::KINDS;
use kinds::Kind::{self, Bool, Ints, Json, Texts};

pub struct Generator {
    state: u64,
}

impl Generator {
    pub fn new(seed: u64) -> Generator {
        Generator { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let at = self.below(list.len());
        list[at]
    }

    /// A query of one value: mostly an expression, now and then rows.
    pub fn statement(&mut self) -> String {
        if self.below(4) == 0 { self.query() } else { format!("SELECT {}", self.expression()) }
    }

    /// An expression of a type that a query may return.
    pub fn expression(&mut self) -> String {
        let kind = self.pick(&KINDS);
        let depth = 1 + self.below(3);
        self.of(kind, depth)
    }

    fn of(&mut self, kind: Kind, depth: usize) -> String {
        if depth == 0 || self.below(5) == 0 && depth < 3 {
            return self.pick(kind.literals()).to_owned();
        }
        if self.below(8) == 0 {
            return self.conditional(kind, depth - 1);
        }
        let template = self.pick(kind.templates());
        self.fill(template, depth - 1)
    }

    fn conditional(&mut self, kind: Kind, depth: usize) -> String {
        let (a, b) = (self.of(kind, depth), self.of(kind, depth));
        let comparable = !matches!(kind, Json | Ints | Texts);
        match self.below(if comparable { 6 } else { 3 }) {
            0 => format!("IF({}, {a}, {b})", self.of(Bool, depth)),
            1 => format!("CASE WHEN {} THEN {a} WHEN {} THEN {b} END", self.of(Bool, depth), self.of(Bool, depth)),
            2 => format!("COALESCE({a}, {b})"),
            3 => format!("NULLIF({a}, {b})"),
            4 => format!("CASE {a} WHEN {b} THEN {a} ELSE CAST(NULL AS {}) END", kind.sql()),
            _ => format!("IFNULL({a}, {b})"),
        }
    }

    fn fill(&mut self, template: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, hole)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = hole.split_once('}').unwrap_or((hole, ""));
            match name.strip_prefix('#') {
                Some(list) => out.push_str(self.pick(choices(list))),
                None => {
                    if let Some(kind) = name.chars().next().and_then(Kind::of) {
                        out.push_str(&self.of(kind, depth));
                    }
                }
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}
