//! Records, pairs, and bytes that come in any chunks.

use core::hint::black_box as any;
use core::ops::Deref;

use fcgi_proto::embedded_io_07::{self, WriteTo};
use fcgi_proto::record::{Control, PairRecord, Record};
use fcgi_proto::{decoder, pair, record};

use crate::{Nowhere, buffer, bytes, id, text};

#[inline(never)]
pub fn records() {
    let _ = any((
        record::RecordType::from_wire(any(0)),
        record::Role::from_wire(any(0)),
        record::ProtocolStatus::from_wire(any(0)),
    ));
    let role = any(record::Role::Filter);
    any((record::Role::has_stdin(role), record::Role::has_data(role)));
    any(record::Flags::keep_conn(any(record::Flags(0))));
    any(record::RequestId::new(any(0)).map(record::RequestId::get));
    let header = record::Header::new(any(record::RecordType::Stdin), any(0), any(0));
    any(record::Header::encode(header));
    let _ = any(record::Header::parse(&any([0; 8])));
    any(record::BeginRequest::encode(record::BeginRequest::parse(&any([0; 8]))));
    any(record::EndRequest::encode(record::EndRequest::parse(&any([0; 8]))));
    any(record::UnknownType::encode(record::UnknownType::parse(&any([0; 8]))));
    let (mut made, rest) = record::Record::stream(any(record::RecordType::Stdout), id(), bytes());
    any(rest);
    write_record(any(&mut made));
    text::<record::RequestId>(id());
    text::<record::Role>(any(record::Role::Filter));
    text::<record::ProtocolStatus>(any(record::ProtocolStatus::Overloaded));
    text::<record::WrongVersion>(any(record::WrongVersion(0)));
    text::<record::UnknownNumber>(any(record::UnknownNumber(0)));
}

#[inline(never)]
pub fn write_record(record: &mut Record<'_>) {
    record::Record::advance(record, any(0));
    any(record::Record::copy_to(record, buffer()));
    any((record::Record::slices(record), record::Record::remaining(record)));
    let _ = any(embedded_io_07::WriteTo::write_to(record, &mut Nowhere));
}

#[inline(never)]
pub fn write_pair(record: &mut PairRecord<'_>) {
    record::PairRecord::advance(record, any(0));
    any(record::PairRecord::copy_to(record, buffer()));
    any((record::PairRecord::slices(record), record::PairRecord::remaining(record)));
    let _ = any(record.write_to(&mut Nowhere));
}

#[inline(never)]
pub fn write_control(control: &mut Control) {
    record::Control::advance(control, any(0));
    any(record::Control::copy_to(control, buffer()));
    any((record::Control::remaining(control), record::Control::deref(control)));
    let _ = any(control.write_to(&mut Nowhere));
}

#[inline(never)]
pub fn pairs() {
    let mut pairs = any(pair::Pairs::new(bytes()));
    while let Some(pair) = pair::Pairs::next(&mut pairs) {
        any(pair);
    }
    any(pair::Pairs::rest(&pairs));
    any(pair::Pairs::get(any(pairs.clone()), bytes()));
    let _ = any(pair::Pairs::values(pairs.clone(), [bytes(), bytes()]));
    let _ = any(pair::Pairs::check(pairs));
    any(pair::encoded_len(bytes(), bytes()));
    if let Err(error) = pair::encode(bytes(), bytes(), buffer(), &mut any(0)) {
        text::<pair::CapacityError>(error);
    }
    let mut packer = any(pair::Packer::new([0; 100]));
    let _ = any(pair::Packer::push(&mut packer, bytes(), bytes()));
    any(pair::Packer::bytes(&packer));
    pair::Packer::clear(&mut packer);
    any(pair::Params::<100>::default());
    let mut params = any(pair::Params::<100>::new());
    let _ = any((pair::Params::push(&mut params, bytes()), pair::Params::finish(&params)));
    any((pair::Params::get(&params, bytes()), pair::Params::iter(&params)));
    any(<&pair::Params<100>>::into_iter(&params));
    pair::Params::clear(&mut params);
    let mut selected = any(pair::Selected::<100>::new(any::<&[_]>(&[])));
    let _ = any((pair::Selected::push(&mut selected, bytes()), pair::Selected::finish(&selected)));
    any((pair::Selected::get(&selected, bytes()), pair::Selected::iter(&selected)));
    any(<&pair::Selected<'_, 100>>::into_iter(&selected));
    pair::Selected::clear(&mut selected);
    text::<pair::TruncatedPair>(pair::TruncatedPair { whole: any(0), left: any(0) });
}

#[inline(never)]
pub fn decoders() {
    any(decoder::Decoder::default());
    let mut records = any(decoder::Decoder::new());
    let _ = any(decoder::Decoder::next(&mut records, &mut bytes()));
    any((decoder::Decoder::at_boundary(&records), decoder::Decoder::missing(&records)));
    let mut pairs = any(pair::Decoder::new());
    any(pair::Decoder::next(&mut pairs, &mut bytes()));
    any(pair::Decoder::at_boundary(&pairs));
}
