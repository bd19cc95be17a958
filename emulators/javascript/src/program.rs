//! A program, its instances and their limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::function::Args;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Runtime, Value};
use serde_json::Value as Json;

use crate::convert::{put, take};
use crate::error::{ErrorKind, JsError, as_v8_says};
use crate::value::Js;

/// What one instance may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Of the wall clock, for one call.
    pub time: Duration,
    /// Bytes of the whole instance.
    pub memory: usize,
    /// Bytes of stack: some thousand nested calls a mebibyte.
    pub stack: usize,
}

impl Default for Limits {
    /// 10 seconds, 128 MiB, 1 MiB of stack.
    fn default() -> Limits {
        Limits { time: Duration::from_secs(10), memory: 128 << 20, stack: 1 << 20 }
    }
}

/// What the engine's own C code needs beyond the stack that scripts may use.
const SPARE_STACK: usize = 1 << 20;
/// Instances kept for the next call.
const MAX_IDLE: usize = 8;
/// The name of script `n` in stack traces is `udf` and the number.
const FILE: &str = "udf";

/// A piece of source text.
#[derive(Clone, Debug)]
pub struct Script {
    source: String,
    /// Lines that were put in front of the text.
    lines_before: u32,
}

impl Script {
    pub fn new(source: impl Into<String>) -> Script {
        Script { source: source.into(), lines_before: 0 }
    }

    /// A function from its body. The parameters' names are taken as they are: they must be identifiers.
    pub fn function(name: &str, parameters: &[&str], body: &str) -> Script {
        Script { source: format!("function {name}({}) {{\n{body}\n}}", parameters.join(", ")), lines_before: 1 }
    }
}

struct Inner {
    scripts: Vec<Script>,
    limits: Limits,
    idle: Mutex<Vec<Instance>>,
}

/// Scripts that compile, ready to be called from any thread.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("scripts", &self.0.scripts).field("limits", &self.0.limits).finish()
    }
}

impl Program {
    /// Runs the scripts once, in order, in one global scope: libraries first.
    ///
    /// # Errors
    /// `Syntax` where a script does not compile; whatever a script's own top level throws.
    pub fn compile(scripts: Vec<Script>, limits: Limits) -> Result<Program, JsError> {
        let program = Program(Arc::new(Inner { scripts, limits, idle: Mutex::default() }));
        let instance = on_own_stack(&limits, || Instance::start(&program.0))?;
        program.give_back(instance);
        Ok(program)
    }

    /// Calls a function of the global scope by its name.
    ///
    /// # Errors
    /// What the function throws; `Timeout`, `Memory` and `NoFunction`.
    pub fn call(&self, function: &str, args: &[Js]) -> Result<Js, JsError> {
        let never = Arc::default();
        let results = self.call_each(function, std::slice::from_ref(&args.to_vec()), &never);
        results.map(|mut results| results.pop().unwrap_or_default()).map_err(|(_, error)| error)
    }

    /// The same with JSON; `None` where the function returns undefined.
    ///
    /// # Errors
    /// As [`Program::call`].
    pub fn call_json(&self, function: &str, args: &[Json]) -> Result<Option<Json>, JsError> {
        let args: Vec<Js> = args.iter().map(Js::from_json).collect();
        Ok(self.call(function, &args)?.to_json())
    }

    /// One call a row, all in one instance, until one fails or `cancel` becomes true.
    ///
    /// # Errors
    /// As [`Program::call`], and `Cancelled`; with the row that failed.
    pub fn call_each(
        &self,
        function: &str,
        rows: &[Vec<Js>],
        cancel: &Arc<AtomicBool>,
    ) -> Result<Vec<Js>, (usize, JsError)> {
        on_own_stack(&self.0.limits, || {
            let idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let instance = match idle {
                Some(instance) => instance,
                None => Instance::start(&self.0).map_err(|error| (0, error))?,
            };
            let results = instance.call_each(&self.0, function, rows, cancel);
            // After these two nobody knows what state the instance is in.
            let spoilt = matches!(
                &results,
                Err((_, JsError { kind: ErrorKind::Timeout | ErrorKind::Memory | ErrorKind::Cancelled, .. }))
            );
            if !spoilt {
                self.give_back(instance);
            }
            results
        })
    }

    fn give_back(&self, instance: Instance) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(instance);
        }
    }
}

/// Runs `work` on a thread whose stack has room for what scripts may use, whatever the caller has left of its own.
fn on_own_stack<T: Send, E: Send + From<Broken>>(
    limits: &Limits,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let builder =
        std::thread::Builder::new().name("javascript".to_owned()).stack_size(limits.stack.saturating_add(SPARE_STACK));
    std::thread::scope(|scope| match builder.spawn_scoped(scope, work) {
        Ok(handle) => handle.join().unwrap_or_else(|_| Err(Broken("the sandbox panicked".to_owned()).into())),
        Err(error) => Err(Broken(error.to_string()).into()),
    })
}

/// The thread could not be had, or it died.
struct Broken(String);

impl From<Broken> for JsError {
    fn from(broken: Broken) -> JsError {
        JsError::new(ErrorKind::Internal, format!("JavaScript cannot be run: {}", broken.0))
    }
}

impl From<Broken> for (usize, JsError) {
    fn from(broken: Broken) -> (usize, JsError) {
        (0, broken.into())
    }
}

/// When a running script has to stop; looked at by QuickJS every few thousand operations.
#[derive(Default)]
struct Watch {
    until: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Watch {
    fn cancelled(&self) -> bool {
        self.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }

    fn late(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// One QuickJS runtime with the program's scripts run in it.
struct Instance {
    context: Context,
    watch: Arc<Mutex<Watch>>,
}

impl Instance {
    fn start(program: &Inner) -> Result<Instance, JsError> {
        let broken = |error: rquickjs::Error| JsError::new(ErrorKind::Internal, error.to_string());
        let runtime = Runtime::new().map_err(broken)?;
        runtime.set_memory_limit(program.limits.memory);
        runtime.set_max_stack_size(program.limits.stack);
        let watch = Arc::new(Mutex::new(Watch::default()));
        let watched = watch.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || {
            let watch = watched.lock().unwrap_or_else(PoisonError::into_inner);
            watch.cancelled() || watch.late()
        })));
        let context = Context::full(&runtime).map_err(broken)?;
        let instance = Instance { context, watch };
        instance.watch(&program.limits, None);
        instance.context.with(|ctx| {
            for (at, script) in program.scripts.iter().enumerate() {
                let mut options = EvalOptions::default();
                options.strict = false;
                options.filename = Some(format!("{FILE}{at}"));
                ctx.eval_with_options::<Value, _>(script.source.as_str(), options)
                    .catch(&ctx)
                    .map_err(|error| instance.failed(program, error))?;
            }
            Ok::<(), JsError>(())
        })?;
        Ok(instance)
    }

    fn watch(&self, limits: &Limits, cancel: Option<Arc<AtomicBool>>) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.until = Instant::now().checked_add(limits.time);
        watch.cancel = cancel;
    }

    fn call_each(
        &self,
        program: &Inner,
        name: &str,
        rows: &[Vec<Js>],
        cancel: &Arc<AtomicBool>,
    ) -> Result<Vec<Js>, (usize, JsError)> {
        self.context.with(|ctx| {
            self.watch(&program.limits, Some(cancel.clone()));
            let function = function(&ctx, name).ok_or_else(|| {
                (0, JsError::new(ErrorKind::NoFunction, format!("ReferenceError: {name} is not defined")))
            })?;
            let mut results = Vec::with_capacity(rows.len());
            for (at, row) in rows.iter().enumerate() {
                if at > 0 {
                    self.watch(&program.limits, Some(cancel.clone()));
                }
                let result = call(&ctx, &function, row).catch(&ctx);
                results.push(result.map_err(|error| (at, self.failed(program, error)))?);
                if cancel.load(Ordering::Relaxed) {
                    return Err((at, cancelled()));
                }
            }
            Ok(results)
        })
    }

    fn failed(&self, program: &Inner, error: CaughtError<'_>) -> JsError {
        // Looked at first: reading the error below may run code, and with it the watch.
        let (late, cancelled_by_caller) = {
            let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            (watch.late(), watch.cancelled())
        };
        let (name, message, stack) = match &error {
            CaughtError::Exception(exception) => {
                let name: Option<String> = exception.as_object().get("name").ok();
                (name.unwrap_or_else(|| "Error".to_owned()), exception.message().unwrap_or_default(), exception.stack())
            }
            CaughtError::Value(value) => {
                let text = value.get::<rquickjs::Coerced<String>>().map(|text| text.0);
                (String::new(), text.unwrap_or_else(|_| "null".to_owned()), None)
            }
            CaughtError::Error(rquickjs::Error::Allocation) => (String::new(), "out of memory".to_owned(), None),
            CaughtError::Error(rquickjs::Error::WouldBlock) => {
                // Nothing can settle it: there are no timers and no I/O.
                let text = "the promise that the function returned is never settled";
                return JsError { kind: ErrorKind::Thrown, message: text.to_owned(), place: None };
            }
            CaughtError::Error(error) => return JsError::new(ErrorKind::Internal, error.to_string()),
        };
        if message == "interrupted" || (name == "InternalError" && late) {
            return if cancelled_by_caller {
                cancelled()
            } else {
                JsError::new(ErrorKind::Timeout, format!("no result after {:?}", program.limits.time))
            };
        }
        if message == "out of memory" || message == "null" && name.is_empty() {
            // Without memory for the error itself QuickJS throws null.
            let text = format!("more than {} bytes of memory are needed", program.limits.memory);
            return JsError::new(ErrorKind::Memory, text);
        }
        let place = stack.as_deref().and_then(|stack| place(program, stack));
        let kind = if name == "SyntaxError" && stack.as_deref().is_some_and(|stack| !stack.contains('(')) {
            ErrorKind::Syntax
        } else {
            ErrorKind::Thrown
        };
        let (name, message) = as_v8_says(&name, &message);
        let message = match (name.is_empty(), message.is_empty()) {
            (true, _) => message,
            (false, true) => name,
            (false, false) => format!("{name}: {message}"),
        };
        JsError { kind, message, place }
    }
}

fn cancelled() -> JsError {
    JsError::new(ErrorKind::Cancelled, "the call was cancelled")
}

/// A function declared globally, or held by a global `const` or `let`.
fn function<'js>(ctx: &Ctx<'js>, name: &str) -> Option<Function<'js>> {
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.'));
    let found = ctx.globals().get::<_, Function>(name).ok();
    let found = found.or_else(|| if plain { ctx.eval::<Function, _>(name).ok() } else { None });
    if found.is_none() {
        // Looking may have thrown; nobody is to find that later.
        ctx.catch();
    }
    found
}

fn call<'js>(ctx: &Ctx<'js>, function: &Function<'js>, row: &[Js]) -> rquickjs::Result<Js> {
    let mut args = Args::new(ctx.clone(), row.len());
    for value in row {
        args.push_arg(put(ctx, value)?)?;
    }
    let result: Value = function.call_arg(args)?;
    match result.as_promise() {
        // An async function: nothing else can be waited for than jobs that are ready.
        Some(promise) => {
            let result: Value = promise.finish()?;
            take(ctx, &result, 0)
        }
        None => take(ctx, &result, 0),
    }
}

/// The innermost place of a stack trace that is within one of the program's scripts.
fn place(program: &Inner, stack: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|line| {
        let from = line.rfind(FILE)?;
        let mut parts = line.get(from + FILE.len()..)?.trim_end_matches(')').split(':');
        let script: usize = parts.next()?.parse().ok()?;
        let (row, column): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let script = program.scripts.get(script)?;
        let row = row.checked_sub(script.lines_before).filter(|row| *row > 0)?;
        let column = thrown_at(script, row, column).unwrap_or(column);
        Some((row, column))
    })
}

/// `throw new Error(…)`: V8 reports where the statement begins, QuickJS where the error is made.
fn thrown_at(script: &Script, row: u32, column: u32) -> Option<u32> {
    let line = script.source.lines().nth((row - 1 + script.lines_before) as usize)?;
    let before: String = line.chars().take(column as usize).collect();
    let at = before.rfind("throw ")?;
    let between = before.get(at + 6..)?;
    let made = between.trim_start().starts_with("new ") && !between.contains(';');
    made.then(|| before[..at].chars().count() as u32 + 1)
}
