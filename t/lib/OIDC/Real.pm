package OIDC::Real;

# The real parts: programs of t/real, and certificates for https.

use strict;
use warnings;

use File::Temp qw(tempdir);
use IO::Select;
use IPC::Open2 qw(open2);
use JSON::PP ();
use OIDC::Browser;
use OIDC::Nginx;

my $json = JSON::PP->new->utf8->canonical;

# Starts t/real/NAME.mjs, or a NAME.py, with its settings and waits for the line of JSON that it prints when it listens. The program
# ends with its standard input, so it never outlives the test.
sub start {
    my ($class, $name, $settings) = @_;
    my $self = bless { owner => $$ }, $class;
    my @command = $name =~ /\.py$/ ? ('python3', '-u', "$OIDC::Nginx::CHECKOUT/t/real/$name") : ('node', "$OIDC::Nginx::CHECKOUT/t/real/$name.mjs");
    local $ENV{NODE_NO_WARNINGS} = 1;
    $self->{pid} = open2($self->{out}, $self->{in}, @command, $settings ? $json->encode($settings) : ());
    $self->{facts} = $self->first_line // die "$command[-1] did not start; is everything installed (make test does it)?\n";
    return $self;
}

sub first_line {
    my ($self) = @_;
    return unless IO::Select->new($self->{out})->can_read(4 * OIDC::Nginx::patience());
    my $line = readline $self->{out};
    return defined $line ? $json->decode($line) : undef;
}

# The certified provider. Every client's secret counts as one that no log may hold.
sub provider {
    my ($class, %settings) = @_;
    my $self = $class->start('oidc-provider', \%settings);
    OIDC::Nginx::secret(map { $_->{client_secret} } values %{ $self->{facts}{clients} });
    return $self;
}

sub app { my ($class) = @_; return $class->start('app') }

sub port { return $_[0]{facts}{port} }
sub issuer { return $_[0]{facts}{issuer} }
sub tls_issuer { return $_[0]{facts}{tls_issuer} }
sub client { my ($self, $id) = @_; return $self->{facts}{clients}{$id} // die "no client $id\n" }

# The directives inside of oidc_provider { } for one of the provider's clients.
sub directives {
    my ($self, $id, %option) = @_;
    my $client = $self->client($id);
    my $issuer = $option{tls} ? $self->tls_issuer : $self->issuer;
    return "issuer $issuer; client_id $client->{client_id};" . ($client->{client_secret} ? " client_secret $client->{client_secret};" : '');
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    close $self->{in};
    waitpid $pid, 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    $self->stop if $self->{owner} == $$;
}

# Goes from the answer that sends the browser to the provider through its sign-in page. Returns the answer that sends the
# browser back, a redirect or a page with a form. Options: user, cancel.
sub at_provider {
    my ($browser, $begun, %option) = @_;
    die 'no redirect to the provider but ' . $begun->status . ': ' . $begun->body . "\n" unless $begun->is_redirect;
    my $page = $browser->get($begun->location, from => $begun->url);
    my $origin = OIDC::Browser::parse_url($page->url)->{origin};
    while (1) {
        if ($page->is_redirect) {
            my $next = $browser->resolve($page->location, $page->url);
            return $page if OIDC::Browser::parse_url($next)->{origin} ne $origin;
            $page = $browser->get($next, from => $page->url);
        }
        elsif ($page->body =~ /name="login"/) {
            my %form = $option{cancel} ? (cancel => 1) : (login => $option{user} // 'alice', password => 'any', prompt => 'login');
            $page = $browser->post($page->url, \%form, from => $page->url);
        }
        elsif ($page->body =~ /<form[^>]* action="(http[^"]*)"/ && OIDC::Browser::parse_url($1)->{origin} ne $origin) {
            return $page;
        }
        else {
            die 'the provider says ' . $page->status . ': ' . $page->body . "\n";
        }
    }
}

# The whole way: asks for a page, signs in, and returns the page, or the answer to the callback when that is no redirect.
sub sign_in {
    my ($browser, $address, %option) = @_;
    my $back = at_provider($browser, $browser->get($address), %option);
    my $answer = $back->is_redirect ? $browser->open_callback($back->location) : $browser->submit($back);
    return $answer unless $answer->is_redirect;
    return $browser->get($browser->resolve($answer->location, $answer->url), site => 'cross-site');
}

# A folder with ca.pem, server.pem and server.key (for localhost and 127.0.0.1), and spki, by which Chromium knows the key.
sub certificates {
    my $dir = tempdir('oidc-ca-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    chmod 0755, $dir;
    system('sh', "$OIDC::Nginx::CHECKOUT/t/real/make-ca.sh", $dir) == 0 or die "make-ca.sh failed\n";
    return $dir;
}

1;
