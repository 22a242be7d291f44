//! Topic ids: which topic of a name it is. `rdkafka` does not wrap this part of the client library yet.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;

/// The id that Kafka writes for "none": brokers before 2.8, and some that are not Apache Kafka.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Frees what the library has allocated when it goes out of scope.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self(pointer, destroy))
    }

    fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the library with this destructor, and nothing else frees it.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

/// The ids of `topics` in Kafka's own spelling (base 64). A topic is absent when the broker does not tell its id within
/// `timeout`, whatever the reason: nothing depends on it but telling apart topics of the same name.
pub(super) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[Arc<str>],
    timeout: Duration,
) -> BTreeMap<Arc<str>, String> {
    ask(client, topics, timeout).unwrap_or_default()
}

fn ask<C: ClientContext>(
    client: &Client<C>,
    topics: &[Arc<str>],
    timeout: Duration,
) -> Option<BTreeMap<Arc<str>, String>> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(topic.as_bytes()).ok()).collect();
    let mut pointers: Vec<*const std::ffi::c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let handle = client.native_ptr();
    // SAFETY: the client outlives this function; every pointer passed lives until the call that uses it has returned;
    // what the library allocates is freed by `Owned`, the event last, because its contents are read until then.
    unsafe {
        let options = Owned::new(
            sys::rd_kafka_AdminOptions_new(handle, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
            sys::rd_kafka_AdminOptions_destroy,
        )?;
        let mut error = [0; 128];
        sys::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), timeout_ms, error.as_mut_ptr(), error.len());
        let collection = Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )?;
        let queue = Owned::new(sys::rd_kafka_queue_new(handle), sys::rd_kafka_queue_destroy)?;
        sys::rd_kafka_DescribeTopics(handle, collection.as_ptr(), options.as_ptr(), queue.as_ptr());
        let event = Owned::new(sys::rd_kafka_queue_poll(queue.as_ptr(), timeout_ms), sys::rd_kafka_event_destroy)?;
        let result = sys::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let descriptions = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let mut ids = BTreeMap::new();
        for place in 0..if descriptions.is_null() { 0 } else { count } {
            if let Some((name, id)) = name_and_id(*descriptions.add(place))
                && let Some(topic) = topics.iter().find(|topic| ***topic == *name)
            {
                ids.insert(Arc::clone(topic), id);
            }
        }
        Some(ids)
    }
}

/// # Safety
/// `description` must be valid, as the library gives it.
unsafe fn name_and_id(description: *const sys::rd_kafka_TopicDescription_t) -> Option<(String, String)> {
    // SAFETY: the library's own accessors; what they return lives as long as the description.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(description);
        if !error.is_null() && sys::rd_kafka_error_code(error) != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let name = text(sys::rd_kafka_TopicDescription_name(description))?;
        let uuid = sys::rd_kafka_TopicDescription_topic_id(description);
        if uuid.is_null() {
            return None;
        }
        let id = text(sys::rd_kafka_Uuid_base64str(uuid))?;
        (!id.is_empty() && id != NO_ID).then_some((name, id))
    }
}

/// # Safety
/// `pointer` is null or a text that ends with a zero byte.
unsafe fn text(pointer: *const std::ffi::c_char) -> Option<String> {
    debug_assert_ne!(pointer, null_mut(), "names and ids are there");
    // SAFETY: as above.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}
