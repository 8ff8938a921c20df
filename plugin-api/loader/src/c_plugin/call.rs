//! One call: what the plugin can ask during it, and the outcome that it reports.

use std::{
    ffi::c_void,
    ptr,
    sync::{Mutex, PoisonError},
};

use abi_stable::std_types::{RStr, RString, Tuple2};
use delfin_plugin_abi::{BatchPart, ContextRef, Outcome, OutcomeCode, RowRange};
use delfin_plugin_c::{CCall, CPart, CReply, CText};

use super::{extension, read_text};

/// What the functions of a call work on.
struct CallState<'a, 'b> {
    context: Option<&'a ContextRef<'b>>,
    /// What the plugin has reported so far. A plugin may do so from any thread.
    outcome: Mutex<Outcome>,
}

/// Makes a call of an instance.
pub(super) fn make(context: &ContextRef<'_>, function: impl FnOnce(*mut CCall) -> u32) -> Outcome {
    // Most calls have one part, and need no memory for a list.
    if let [part] = context.parts().as_slice() {
        return run(Some(context), &[lend_part(part)], function);
    }
    let parts: Vec<CPart> = context.parts().iter().map(lend_part).collect();
    run(Some(context), &parts, function)
}

/// Makes a call that has no instance yet.
pub(super) fn without_context(function: impl FnOnce(*mut CCall) -> u32) -> Outcome {
    run(None, &[], function)
}

fn run(
    context: Option<&ContextRef<'_>>,
    parts: &[CPart],
    function: impl FnOnce(*mut CCall) -> u32,
) -> Outcome {
    let state = CallState {
        context,
        outcome: Mutex::new(Outcome::delivered()),
    };
    let mut call = CCall {
        attempt: context.map_or(1, |context| context.attempt()),
        origin: context.map_or(0, |context| context.origin().0),
        parts: parts.as_ptr(),
        part_count: parts.len(),
        context: ptr::from_ref(&state).cast_mut().cast::<c_void>(),
        remaining_ns: Some(remaining_ns),
        cancelled: Some(cancelled),
        set_message: Some(set_message),
        set_retry_after: Some(set_retry_after),
        add_rows: Some(add_rows),
        add_extra: Some(add_extra),
        has_extension: Some(has_extension),
        call_extension: Some(call_extension),
        ..CCall::EMPTY
    };
    let code = function(&raw mut call);
    let outcome = state.outcome.into_inner();
    Outcome {
        code: OutcomeCode(code),
        ..outcome.unwrap_or_else(PoisonError::into_inner)
    }
}

fn lend_part(part: &BatchPart<'_>) -> CPart {
    CPart {
        batch_id: part.batch_id,
        first_row: part.first_row,
        rows: part.rows,
        accepted_ms: part.accepted_ms,
        storage_id: super::text(part.storage_id.as_str()),
        complete: u32::from(part.complete),
        ..CPart::EMPTY
    }
}

/// The state of the call that a function is about.
///
/// # Safety
///
/// `call` comes from [`run`], and has not returned.
unsafe fn state<'a>(call: *const CCall) -> &'a CallState<'a, 'a> {
    // SAFETY: the plugin passes the call that it got.
    let context = unsafe { (*call).context };
    // SAFETY: `run` has set it, and its state lives until the call returns.
    unsafe { &*context.cast::<CallState<'a, 'a>>() }
}

unsafe extern "C" fn remaining_ns(call: *const CCall) -> u64 {
    // SAFETY: the plugin calls it during the call.
    let state = unsafe { state(call) };
    state
        .context
        .map_or(u64::MAX, |context| context.remaining_ns())
}

unsafe extern "C" fn cancelled(call: *const CCall) -> u32 {
    // SAFETY: as above.
    let state = unsafe { state(call) };
    state
        .context
        .map_or(0, |context| context.cancelled().into())
}

unsafe extern "C" fn set_message(call: *mut CCall, message: CText) {
    // SAFETY: the text lives until this function returns.
    let message = unsafe { read_text(message) };
    // SAFETY: as above.
    report(unsafe { state(call) }, |outcome| {
        outcome.message = RString::from(message);
    });
}

unsafe extern "C" fn set_retry_after(call: *mut CCall, milliseconds: u64) {
    // SAFETY: as above.
    report(unsafe { state(call) }, |outcome| {
        outcome.after_ms = milliseconds;
    });
}

unsafe extern "C" fn add_rows(call: *mut CCall, first: u64, len: u64, code: u32, reason: CText) {
    // SAFETY: the text lives until this function returns.
    let reason = unsafe { read_text(reason) };
    let range = RowRange {
        first,
        len,
        code: OutcomeCode(code),
        reason: RString::from(reason),
    };
    // SAFETY: as above.
    report(unsafe { state(call) }, |outcome| outcome.rows.push(range));
}

unsafe extern "C" fn add_extra(call: *mut CCall, name: CText, value: CText) {
    // SAFETY: the text lives until this function returns.
    let name = unsafe { read_text(name) };
    // SAFETY: as for the name.
    let value = unsafe { read_text(value) };
    // SAFETY: as above.
    report(unsafe { state(call) }, |outcome| {
        outcome.extra.push(Tuple2(name.into(), value.into()));
    });
}

unsafe extern "C" fn has_extension(call: *const CCall, id: CText) -> u32 {
    // SAFETY: the text lives until this function returns.
    let id = unsafe { read_text(id) };
    // SAFETY: as above.
    let context = unsafe { state(call) }.context;
    let found = context.and_then(|context| context.get_extension(RStr::from(&*id)).into_option());
    found.is_some().into()
}

unsafe extern "C" fn call_extension(
    call: *const CCall,
    id: CText,
    request: CText,
    reply: CReply,
    data: *mut c_void,
) -> u32 {
    // SAFETY: the text lives until this function returns.
    let id = unsafe { read_text(id) };
    // SAFETY: as above.
    let context = unsafe { state(call) }.context;
    let found = context.and_then(|context| context.get_extension(RStr::from(&*id)).into_option());
    // SAFETY: the request lives until this function returns, and the plugin passes a function
    // with its data.
    unsafe { extension::answer(found, request, reply, data) }
}

fn report(state: &CallState<'_, '_>, change: impl FnOnce(&mut Outcome)) {
    change(&mut state.outcome.lock().unwrap_or_else(PoisonError::into_inner));
}
