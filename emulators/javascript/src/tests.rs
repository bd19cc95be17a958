//! Programs end to end: values, errors with their places, limits.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;

use crate::{ErrorKind, Js, JsError, Limits, Program, Script};

fn body(parameters: &[&str], body: &str) -> Result<Program, JsError> {
    Program::compile(vec![Script::function("f", parameters, body)], Limits::default())
}

fn run(text: &str) -> Result<Js, JsError> {
    body(&[], text)?.call("f", &[])
}

fn failure(text: &str) -> (String, Option<(u32, u32)>) {
    let error = run(text).expect_err("must fail");
    (error.message, error.place)
}

#[test]
fn values_go_in_and_come_out_as_they_are() {
    let echo = body(&["x"], "return x;").expect("compiles");
    let object =
        Js::Object(vec![("b".into(), Js::Null), ("a".into(), Js::Array(vec![Js::Number(0.5), Js::Undefined]))]);
    let values = [
        Js::Undefined,
        Js::Null,
        Js::Bool(true),
        Js::Number(-0.25),
        Js::BigInt("-9223372036854775808".into()),
        Js::BigInt("123456789012345678901234567890".into()),
        Js::String("añ\u{1F600}\0".into()),
        Js::Date { millis: -1.0, micros: Some(7.0) },
        Js::Date { millis: 1e12, micros: None },
        object,
    ];
    for value in values {
        assert_eq!(echo.call("f", std::slice::from_ref(&value)), Ok(value));
    }
}

#[test]
fn json_is_what_stringify_makes_of_it() {
    let made = run("return {n: 3, h: 1.5, nan: NaN, u: undefined, f: () => 1, d: new Date(0), a: [undefined]};");
    let expected = json!({"n": 3, "h": 1.5, "nan": null, "d": "1970-01-01T00:00:00.000Z", "a": [null]});
    assert_eq!(made.expect("runs").to_json(), Some(expected));
    assert_eq!(run("").expect("runs").to_json(), None);
    assert_eq!(run("return new String('s')"), Ok(Js::String("s".into())));
    assert_eq!(
        run("return new Date('2024-02-29T12:34:56.789Z')").map(|date| date.to_json()),
        Ok(Some(json!("2024-02-29T12:34:56.789Z")))
    );
}

#[test]
fn libraries_come_first_and_functions_may_be_constants() {
    let scripts =
        vec![Script::new("const double = x => x * 2;"), Script::new("function g(x) { return double(x) + 1; }")];
    let program = Program::compile(scripts, Limits::default()).expect("compiles");
    assert_eq!(program.call_json("g", &[json!(4)]), Ok(Some(json!(9))));
    assert_eq!(program.call_json("double", &[json!(4)]), Ok(Some(json!(8))));
    assert_eq!(program.call_json("missing", &[]).map_err(|error| error.kind), Err(ErrorKind::NoFunction));
}

#[test]
fn asynchronous_functions_are_waited_for() {
    let program =
        Program::compile(vec![Script::new("async function f(x) { return (await x) + 1; }")], Limits::default());
    assert_eq!(program.and_then(|program| program.call_json("f", &[json!(1)])), Ok(Some(json!(2))));
}

#[test]
fn errors_have_their_names_and_places() {
    assert_eq!(failure("throw new Error('boom');"), ("Error: boom".into(), Some((1, 1))));
    assert_eq!(failure("let a = 1;\n  throw new RangeError('far');"), ("RangeError: far".into(), Some((2, 3))));
    assert_eq!(failure("return 1 +\n   missing;"), ("ReferenceError: missing is not defined".into(), Some((2, 4))));
    let (message, place) = failure("let x;\nreturn x.name;");
    assert_eq!(
        (message.as_str(), place.map(|place| place.0)),
        ("TypeError: Cannot read properties of undefined (reading 'name')", Some(2))
    );
    assert_eq!(failure("throw 'text';").0, "text");
    assert_eq!(failure("const a = []; a.push(a); return a;").0, "TypeError: Converting circular structure to a value");
    assert_eq!(
        failure("return (function g() { return g() + 1; })();").0,
        "RangeError: Maximum call stack size exceeded"
    );
}

#[test]
fn source_that_does_not_compile_is_told_apart() {
    let error = body(&[], "return 1 +;").expect_err("must fail");
    assert_eq!((error.kind, error.place.map(|place| place.0)), (ErrorKind::Syntax, Some(1)));
    assert_eq!(run("return JSON.parse('{')").map_err(|error| error.kind), Err(ErrorKind::Thrown));
}

#[test]
fn endless_loops_end() {
    let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
    let script = Script::new(
        "function f() { for (;;) {} } function g() { try { f() } catch (e) { return 1; } } function h() { return 2; }",
    );
    let program = Program::compile(vec![script], limits).expect("compiles");
    assert_eq!(program.call("f", &[]).map_err(|error| error.kind), Err(ErrorKind::Timeout));
    assert_eq!(program.call("g", &[]).map_err(|error| error.kind), Err(ErrorKind::Timeout));
    assert_eq!(program.call("h", &[]), Ok(Js::Number(2.0)));
}

#[test]
fn memory_is_bounded() {
    let limits = Limits { memory: 4 << 20, ..Limits::default() };
    let script = Script::new(
        "function f() { let a = []; for (;;) a.push('x'.repeat(1000) + a.length); } function h() { return 2; }",
    );
    let program = Program::compile(vec![script], limits).expect("compiles");
    assert_eq!(program.call("f", &[]).map_err(|error| error.kind), Err(ErrorKind::Memory));
    assert_eq!(program.call("h", &[]), Ok(Js::Number(2.0)));
}

#[test]
fn a_call_can_be_cancelled() {
    let program = body(&["x"], "for (;;) {}").expect("compiles");
    let cancel = Arc::new(AtomicBool::new(true));
    let result = program.call_each("f", &[vec![Js::Null]], &cancel);
    assert_eq!(result.map_err(|(row, error)| (row, error.kind)), Err((0, ErrorKind::Cancelled)));
}

#[test]
fn code_sees_nothing_of_the_machine() {
    for name in ["require", "process", "std", "os", "fetch", "setTimeout", "print"] {
        assert_eq!(run(&format!("return typeof {name};")), Ok(Js::String("undefined".into())), "{name}");
    }
    assert!(run("return import('fs');").is_err());
}

#[test]
fn one_program_serves_many_threads() {
    let program = body(&["x"], "return x + 1;").expect("compiles");
    std::thread::scope(|scope| {
        for start in 0..4 {
            let program = &program;
            scope.spawn(move || {
                for x in 0..20 {
                    let x = f64::from(start * 100 + x);
                    assert_eq!(program.call("f", &[Js::Number(x)]), Ok(Js::Number(x + 1.0)));
                }
            });
        }
    });
}
