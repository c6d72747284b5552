package OIDC::Response;

# An answer as a value: what a test asks about.

use strict;
use warnings;

use JSON::PP ();
use OIDC::Form qw(form_decode);

sub new { my ($class, %member) = @_; return bless {%member}, $class }

sub status { return $_[0]{status} }
sub reason { return $_[0]{reason} }
sub body { return $_[0]{body} }
sub url { return $_[0]{url} }
sub http_version { return $_[0]{version} }
sub json { return JSON::PP->new->utf8->allow_nonref->decode($_[0]{body}) }

# All values of a header, in order; header() gives them as one text, or undef.
sub headers_all {
    my ($self, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $self->{headers} };
}

sub header {
    my ($self, $name) = @_;
    my @all = $self->headers_all($name);
    return @all ? join(', ', @all) : undef;
}

sub location { return $_[0]->header('Location') }
sub is_redirect { return $_[0]{status} =~ /^30[12378]$/ && defined $_[0]->location }

# The query of Location: a hash of decoded values; query_all has every pair, in order.
sub query {
    my ($self) = @_;
    return { map { @$_ } $self->query_all };
}

sub query_all {
    my ($self) = @_;
    return unless ($self->location // '') =~ /\?([^#]*)/;
    return form_decode($1);
}

# Cookies as they were set: { name, value, raw, path, domain, max_age, expires, samesite, secure, httponly, partitioned }.
sub set_cookies { return map { parse_cookie($_) } $_[0]->headers_all('Set-Cookie') }

# The one that was set last under this name (a text or a pattern), or undef.
sub cookie {
    my ($self, $name) = @_;
    my @found = grep { ref $name ? $_->{name} =~ $name : $_->{name} eq $name } $self->set_cookies;
    return $found[-1];
}

sub parse_cookie {
    my ($raw) = @_;
    my ($pair, @attributes) = split /\s*;\s*/, $raw;
    my ($name, $value) = ($pair // '') =~ /^\s*([^=]*?)\s*=\s*(.*?)\s*$/ ? ($1, $2) : ('', $pair);
    my %cookie = (name => $name, value => $value, raw => $raw);
    for my $attribute (@attributes) {
        my ($key, $text) = split /\s*=\s*/, $attribute, 2;
        $key = lc $key;
        $key =~ tr/-/_/;
        $cookie{$key} = $text // 1;
    }
    return \%cookie;
}

1;
