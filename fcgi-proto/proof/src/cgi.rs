//! Heads, as they are written and read, and a request's variables.

use core::hint::black_box as any;

use fcgi_proto::cgi;
use fcgi_proto::record::Role;

use crate::{buffer, bytes, text};

#[inline(never)]
pub fn heads() {
    let status = any(cgi::Status::OK);
    any((cgi::Status::new(any(0)), cgi::Status::code(status), cgi::Status::reason(status)));
    any((cgi::Status::has_body(status, any(None)), cgi::is_hop_by_hop(bytes())));
    text::<cgi::Status>(status);
    any(cgi::Front::of(any(None)));
    let mut head = any(cgi::Head::new([0; 100]));
    let _ = any((cgi::Head::start(&mut head, status), cgi::Head::field(&mut head, bytes(), bytes())));
    let _ = any(cgi::Head::adopt(&mut head, bytes()));
    any((cgi::Head::status(&head), cgi::Head::bytes(&head)));
    let _ = any(cgi::Head::finish(&mut head));
    let mut end = any(cgi::HeadEnd::default());
    any(cgi::HeadEnd::find(&mut end, bytes()));
    text::<cgi::HeadError>(cgi::HeadError::Value { byte: any(0) });
}

#[inline(never)]
pub fn response_heads() {
    let mut head = any(cgi::ResponseHead::new([0; 100]));
    let _ = any((cgi::ResponseHead::push(&mut head, bytes()), cgi::ResponseHead::finish(&head)));
    any((cgi::ResponseHead::is_complete(&head), cgi::ResponseHead::status(&head)));
    any((cgi::ResponseHead::reason(&head), cgi::ResponseHead::get(&head, bytes())));
    any((cgi::ResponseHead::location(&head), cgi::ResponseHead::local_redirect(&head)));
    any(cgi::ResponseHead::has_body(&head, bytes()));
    let _ = any(cgi::ResponseHead::content_length(&head));
    if let Ok(mut body) = cgi::ResponseBody::new(&head, bytes()) {
        any(cgi::ResponseBody::wanted(&body, any(0)));
        cgi::ResponseBody::take(&mut body, any(0));
        if let Err(error) = cgi::ResponseBody::skip(&mut body, any(0)) {
            text::<cgi::ResponseTooLong>(error);
        }
        any(cgi::ResponseBody::missing(&body));
    }
    let mut fields = cgi::ResponseHead::fields(&head);
    while let Some(field) = cgi::ResponseFields::next(&mut fields) {
        any(field);
    }
    if let Ok(cgi::Decision::Allowed(mut variables)) = cgi::ResponseHead::decision(&head) {
        while let Some(variable) = cgi::AuthorizerVariables::next(&mut variables) {
            any(variable);
        }
    }
    cgi::ResponseHead::clear(&mut head);
    text::<cgi::ResponseHeadError>(cgi::ResponseHeadError::Value { byte: any(0) });
}

#[inline(never)]
pub fn variables() {
    any(cgi::Target::parse(bytes()));
    if let Err(error) = cgi::decode_path(bytes(), buffer()) {
        text::<cgi::PathError>(error);
    }
    let mut request = cgi::Variables::new(bytes(), bytes());
    for field in [
        &mut request.protocol,
        &mut request.server_name,
        &mut request.server_software,
        &mut request.script_name,
        &mut request.path_info,
        &mut request.path_translated,
        &mut request.script_filename,
        &mut request.document_root,
        &mut request.auth_type,
        &mut request.remote_user,
        &mut request.redirect_status,
    ] {
        *field = bytes();
    }
    (request.authority, request.content_length) = any((None, None));
    (request.https, request.authorization) = any((false, false));
    (request.peer, request.server) = any((None, None));
    (request.data_last_mod, request.data_length) = any((0, 0));
    request.extra = any::<&[_]>(&[]);
    let sink = |name: &[u8], value: cgi::Value<'_>| -> Result<(), cgi::VariablesError> {
        any((name, cgi::Value::len(&value), cgi::Value::is_empty(&value)));
        cgi::Value::parts(&value).for_each(|part| _ = any(part));
        any(cgi::Value::whole(&value, buffer()));
        any(Ok(()))
    };
    if let Err(error) = cgi::Variables::emit(&request, any(Role::Responder), any::<&[_]>(&[]), sink) {
        text::<cgi::VariablesError>(error);
    }
}
