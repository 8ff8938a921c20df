//! Logins, faults of the service, and its ends.

use std::{io::Read, net::TcpListener, thread, time::Duration};

use delfin_plugin_api::testkit::TestResponse;
use delfin_tests::redfish::{MockService, PASSWORD, array, error};
use serde_json::json;

use crate::calls::{TestedStorage, failure};

#[test]
fn one_session_is_opened_and_ended_with_the_driver() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.identify().unwrap();
    storage.collect().unwrap();
    assert_eq!(service.state().logins, 1);
    storage.close().unwrap();
    assert!(service.state().sessions.is_empty());
}

#[test]
fn a_session_that_has_ended_is_opened_again() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.identify().unwrap();
    service.state().sessions.clear();
    storage.collect().unwrap();
    assert_eq!(service.state().logins, 2);
}

#[test]
fn a_wrong_password_is_one_attempt_and_says_what_to_correct() {
    let service = MockService::start(array::modern());
    service.state().refuses_login = true;
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.identify().unwrap_err();
    let port = service.port();
    assert_eq!(
        error,
        format!(
            "Pause 1: `localhost:{port}` refuses the login of `monitor` with 401 (correct \
             `rest.username` and `rest.password`)"
        )
    );
    let posts = service
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .count();
    assert_eq!(posts, 1);
    assert!(!error.contains(PASSWORD));
}

#[test]
fn basic_authentication_is_used_where_it_is_wanted_or_nothing_else_exists() {
    for (extra, has_sessions) in [
        (json!({"authentication": "basic"}), true),
        (json!({}), false),
    ] {
        let service = MockService::start(array::embedded());
        service.state().has_sessions = has_sessions;
        let mut storage = TestedStorage::open(&service, extra);
        storage.identify().unwrap();
        storage.collect().unwrap();
        assert_eq!(service.state().logins, 0);
        let posts = service
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .count();
        assert_eq!(posts, usize::from(!has_sessions));
    }
}

#[test]
fn a_full_table_of_sessions_is_a_state_that_passes() {
    let service = MockService::start(array::modern());
    let sessions = "/redfish/v1/SessionService/Sessions".to_owned();
    let full = error(400, "SessionLimitExceeded");
    service.state().next.insert(sessions, vec![full]);
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.identify().unwrap_err();
    assert!(
        error.starts_with("Retry 0:") && error.contains("no session left"),
        "{error}"
    );
    storage.identify().unwrap();
}

#[test]
fn a_service_that_asks_to_wait_is_asked_again() {
    let service = MockService::start(array::modern());
    let busy = || TestResponse::new(503).header("retry-after", "0");
    let path = "/redfish/v1/Storage/A1".to_owned();
    service
        .state()
        .next
        .insert(path.clone(), vec![busy(), busy()]);
    let mut storage = TestedStorage::open(&service, json!({}));
    assert_eq!(storage.list("volumes").unwrap().len(), 5);
    let asked = service
        .paths()
        .iter()
        .filter(|asked| **asked == path)
        .count();
    assert_eq!(asked, 3);
    // It is asked no more often than that, and the wait is never longer than the call.
    let long = TestResponse::new(503).header("retry-after", "86400");
    let mut storage = TestedStorage::open(&service, json!({}));
    service.state().next.insert(path, vec![long]);
    let error = storage.list("volumes").unwrap_err();
    assert!(
        error.starts_with("Retry") && error.contains("503"),
        "{error}"
    );
}

#[test]
fn a_collection_that_fails_is_an_error_of_its_kinds_only() {
    let service = MockService::start(array::modern());
    let path = "/redfish/v1/Storage/A1/Volumes".to_owned();
    let failing = || TestResponse::new(500).body("boom");
    service.state().next.insert(path.clone(), vec![failing()]);
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.list("volumes").unwrap_err();
    assert_eq!(error, format!("Reject 0: `{path}` answers 500: boom"));
    assert_eq!(storage.list("disks").unwrap().len(), 4);
}

#[test]
fn a_storage_that_fails_in_parts_keeps_its_identity() {
    let service = MockService::start(array::modern());
    let mut paths: Vec<String> = service.state().documents.keys().cloned().collect();
    let identity = TestedStorage::open(&service, json!({})).identify().unwrap();
    let storage = "/redfish/v1/Storage/A1";
    let describing = [
        "/redfish/v1/Managers",
        "/redfish/v1/Chassis",
        "/redfish/v1/Chassis/Shelf1",
        "/redfish/v1/Storage",
        storage,
        &format!("{storage}/StoragePools"),
        &format!("{storage}/StoragePools/P1"),
        &format!("{storage}/Volumes"),
    ];
    for path in describing {
        for status in [403, 500] {
            let failing = TestResponse::new(status).body("boom");
            service.state().next.insert(path.to_owned(), vec![failing]);
            let mut storage = TestedStorage::open(&service, json!({}));
            let error = storage.identify().unwrap_err();
            assert_eq!(error, format!("Reject 0: `{path}` answers {status}: boom"));
            assert_eq!(storage.identify().unwrap(), identity);
        }
    }
    // Everything but the root, and the login.
    paths.retain(|path| path != "/redfish/v1/");
    service.state().failing.extend(paths);
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.identify().unwrap_err();
    assert!(
        error.starts_with("Reject 0: `/redfish/v1/Managers`"),
        "{error}"
    );
    let error = storage.collect().unwrap_err();
    assert!(
        error.starts_with("Reject 0: `/redfish/v1/Managers`"),
        "{error}"
    );
    service.state().failing.clear();
    assert_eq!(storage.identify().unwrap(), identity);
}

#[test]
fn a_part_that_answers_again_is_read_at_the_next_call() {
    let service = MockService::start(array::modern());
    let path = "/redfish/v1/Storage/A1/Volumes".to_owned();
    let failing = vec![TestResponse::new(500); 2];
    service.state().next.insert(path.clone(), failing);
    let mut storage = TestedStorage::open(&service, json!({}));
    storage.list("volumes").unwrap_err();
    let before = service.paths().len();
    storage.list("volumes").unwrap_err();
    assert_eq!(
        service.paths()[before..],
        [path],
        "only the part that failed is asked for"
    );
    assert_eq!(storage.list("volumes").unwrap().len(), 5);
}

#[test]
fn a_subsystem_that_fails_leaves_no_shorter_lists() {
    let service = MockService::start(array::embedded());
    let path = "/redfish/v1/Systems/1/Storage/RAID.1".to_owned();
    let failing = TestResponse::new(500).body("boom");
    service.state().next.insert(path.clone(), vec![failing]);
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.list("volumes").unwrap_err();
    assert_eq!(error, format!("Reject 0: `{path}` answers 500: boom"));
    assert_eq!(storage.list("volumes").unwrap().len(), 1);
}

#[test]
fn a_document_that_a_new_session_may_not_read_is_named() {
    let service = MockService::start(array::modern());
    let path = "/redfish/v1/Managers".to_owned();
    let refused = vec![TestResponse::new(401); 2];
    service.state().next.insert(path.clone(), refused);
    let mut storage = TestedStorage::open(&service, json!({}));
    let error = storage.identify().unwrap_err();
    let expected = format!("Reject 0: `{path}` answers 401 to a new session of `monitor`");
    assert!(error.starts_with(&expected), "{error}");
    storage.identify().unwrap();
}

#[test]
fn https_to_a_service_without_tls_names_the_setting() {
    let identify = |port: u16| {
        let options = json!({"rest": {"host": "localhost", "port": port}});
        let mut storage = TestedStorage::open_with(&options).unwrap();
        storage.identify().unwrap_err()
    };
    let service = MockService::start(array::modern());
    let error = identify(service.port());
    assert!(error.contains("set `scheme` to `http`"), "{error}");
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            // What is not read would make the end a reset.
            connection.read(&mut [0; 1 << 16]).unwrap_or_default();
        }
    });
    let error = identify(port);
    assert!(error.contains("set `scheme` to `http`"), "{error}");
}

#[test]
fn a_resource_that_fails_has_an_unknown_status() {
    let service = MockService::start(array::modern());
    let answers = [
        TestResponse::new(500).body("boom"),
        TestResponse::new(200).body("no JSON"),
        TestResponse::new(200).body("[]"),
        TestResponse::new(403),
        TestResponse::new(200).body(vec![b' '; (16 << 20) + 1]),
        TestResponse::new(200).body("[".repeat(100_000)),
    ];
    for answer in answers {
        service
            .state()
            .next
            .insert(array::VOLUME.to_owned(), vec![answer.clone()]);
        let mut storage = TestedStorage::open(&service, json!({}));
        let volumes = storage.list("volumes").unwrap();
        let ids: Vec<_> = volumes
            .iter()
            .map(|row| (&row["name"], &row["status"]))
            .collect();
        assert_eq!(ids[0], (&json!("V1"), &json!("unknown")));
        assert_eq!(ids.len(), 5);
    }
}

#[test]
fn a_service_that_hangs_costs_no_more_than_the_call() {
    let service = MockService::start(array::modern());
    let mut storage = TestedStorage::open(&service, json!({}));
    service.state().hangs = true;
    let answer = storage.call_within("identify", json!({}), Duration::from_millis(400));
    let text = failure(answer);
    assert!(text.starts_with("Retry 0:"), "{text}");
    service.state().hangs = false;
    storage.identify().unwrap();
}

#[test]
fn what_is_no_redfish_service_is_named() {
    let service = MockService::start(array::Documents::new());
    let mut storage = TestedStorage::open(&service, json!({}));
    let text = storage.identify().unwrap_err();
    assert!(text.contains("is no Redfish service"), "{text}");
    let closed = json!({
        "rest": {"host": "localhost", "port": 1},
        "extra_attributes": {"scheme": "http"}
    });
    let text = TestedStorage::open_with(&closed)
        .unwrap()
        .identify()
        .unwrap_err();
    assert!(text.starts_with("Retry 0: `localhost:1`"), "{text}");
    let wrong = json!({"rest": {"host": "localhost"}, "extra_attributes": {"authentication": "x"}});
    let text = TestedStorage::open_with(&wrong).err().unwrap();
    assert!(
        text.starts_with("Pause 0: `authentication` cannot be"),
        "{text}"
    );
}
