package OIDC::Cookies;

# A cookie jar that obeys and refuses like a browser (RFC 6265bis): Path, Domain, Secure, SameSite, name prefixes, life, size.

use strict;
use warnings;

use Time::Local qw(timegm);

my %months = do { my $n = 0; map { $_ => $n++ } qw(jan feb mar apr may jun jul aug sep oct nov dec) };

sub new { return bless { cookies => [], refused => [], count => 0 }, shift }

# Loopback names are trustworthy: Secure cookies live there without https.
sub is_loopback { return $_[0] =~ /^(?:localhost|.*\.localhost|127(?:\.\d+){3}|\[::1\])$/ }
sub is_secure { my ($url) = @_; return $url->{scheme} eq 'https' || is_loopback($url->{host}) }

sub domain_matches { my ($host, $domain) = @_; return $host eq $domain || ($host =~ /\.\Q$domain\E$/ && $host !~ /^[\d.]+$/) }

sub path_matches {
    my ($path, $prefix) = @_;
    return $path eq $prefix || (index($path, $prefix) == 0 && ($prefix =~ m{/$} || substr($path, length $prefix, 1) eq '/'));
}

sub default_path { my ($path) = @_; return $path =~ m{^(/.*)/[^/]*$} ? $1 : '/' }

sub expiry {
    my ($cookie, $now) = @_;
    return $now + $cookie->{max_age} if ($cookie->{max_age} // '') =~ /^-?\d+$/;
    return undef unless ($cookie->{expires} // "") =~ /(\d{1,2})[ -](\w{3})\w*[ -](\d{4}) (\d\d):(\d\d):(\d\d)/ && exists $months{ lc $2 };
    return timegm($6, $5, $4, $1, $months{ lc $2 }, $3);
}

# Why a browser would not keep this cookie, or nothing.
sub fault {
    my ($cookie, $url) = @_;
    my ($name, $secure) = @$cookie{qw(name secure)};
    return 'larger than 4096 bytes' if length("$name$cookie->{value}") > 4096;
    return 'Domain of somebody else' if length($cookie->{domain} // '') && !domain_matches($url->{host}, $cookie->{domain} =~ s/^\.//r);
    return 'Secure over plain http' if $secure && !is_secure($url);
    return 'SameSite=None without Secure' if lc($cookie->{samesite} // '') eq 'none' && !$secure;
    return '__Secure- without Secure' if $name =~ /^__Secure-/i && !$secure;
    return '__Host- needs Secure, Path=/ and no Domain'
        if $name =~ /^__Host-/i && !($secure && ($cookie->{path} // '') eq '/' && !length($cookie->{domain} // ''));
    return;
}

# Takes over a parsed Set-Cookie. What is refused is kept in refused(), with the reason.
sub store {
    my ($self, $cookie, $url, $now) = @_;
    if (my $fault = fault($cookie, $url)) {
        push @{ $self->{refused} }, { %$cookie, fault => $fault };
        return;
    }
    my $domain = lc(($cookie->{domain} // '') =~ s/^\.//r);
    my %kept = (
        %$cookie,
        host_only => !length $domain,
        domain    => length $domain ? $domain : $url->{host},
        path      => ($cookie->{path} // '') =~ m{^/} ? $cookie->{path} : default_path($url->{path}),
        expires   => expiry($cookie, $now),
        order     => $self->{count}++,
    );
    my $same = sub { my ($other) = @_; return !grep { $other->{$_} ne $kept{$_} } qw(name domain path) };
    my ($before) = grep { $same->($_) } @{ $self->{cookies} };
    $kept{order} = $before->{order} if $before;
    $self->{cookies} = [grep { !$same->($_) } @{ $self->{cookies} }];
    push @{ $self->{cookies} }, \%kept unless defined $kept{expires} && $kept{expires} <= $now;
    return;
}

# `site`: same, or cross for a request that another site started; `top`: a navigation of the whole window with a safe method.
sub matching {
    my ($self, $url, $now, %context) = @_;
    my @sent;
    for my $cookie (@{ $self->{cookies} }) {
        next if defined $cookie->{expires} && $cookie->{expires} <= $now;
        next if $cookie->{host_only} ? $cookie->{domain} ne $url->{host} : !domain_matches($url->{host}, $cookie->{domain});
        next unless path_matches($url->{path}, $cookie->{path});
        next if $cookie->{secure} && !is_secure($url);
        my $samesite = lc($cookie->{samesite} // 'lax');
        next if $context{cross} && ($samesite eq 'strict' || ($samesite ne 'none' && !$context{top}));
        push @sent, $cookie;
    }
    return sort { length $b->{path} <=> length $a->{path} || $a->{order} <=> $b->{order} } @sent;
}

sub all { return @{ $_[0]{cookies} } }
sub refused { return @{ $_[0]{refused} } }
sub clear { $_[0]{cookies} = [] }

sub find {
    my ($self, $name) = @_;
    my ($found) = grep { ref $name ? $_->{name} =~ $name : $_->{name} eq $name } $self->all;
    return $found;
}

# Puts a cookie there by hand (an attacker, an older visit), by default for this host and path /.
sub put {
    my ($self, $name, $value, %attribute) = @_;
    push @{ $self->{cookies} },
        { name => $name, value => $value, path => '/', domain => 'localhost', host_only => 1, order => $self->{count}++, %attribute };
}

sub remove {
    my ($self, $name) = @_;
    $self->{cookies} = [grep { !(ref $name ? $_->{name} =~ $name : $_->{name} eq $name) } $self->all];
}

1;
