package OIDC::Form;

# application/x-www-form-urlencoded, and random texts.

use strict;
use warnings;

use Exporter 'import';
use MIME::Base64 qw(encode_base64url);

our @EXPORT_OK = qw(form_decode form_encode escape unescape random_token);

sub escape {
    my ($text) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
    return $text;
}

sub unescape {
    my ($text) = @_;
    $text =~ tr/+/ /;
    $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return $text;
}

# A list of [name, value].
sub form_decode {
    my ($text) = @_;
    return map { my ($name, $value) = split /=/, $_, 2; [unescape($name), unescape($value // '')] } grep { length } split /&/, $text;
}

# From a text (as it is), a hash (sorted, so that runs are alike; undef is left out) or a list of [name, value].
sub form_encode {
    my ($form) = @_;
    return $form unless ref $form;
    my @pairs = ref $form eq 'HASH' ? map { [$_, $form->{$_}] } sort keys %$form : @$form;
    return join '&', map { escape($_->[0]) . '=' . escape($_->[1]) } grep { defined $_->[1] } @pairs;
}

# Random bytes in base64url: 32 bytes are 43 characters.
sub random_token {
    my ($count) = @_;
    open my $random, '<:raw', '/dev/urandom' or die "no /dev/urandom: $!";
    read $random, my $bytes, $count // 32;
    return encode_base64url($bytes);
}

1;
