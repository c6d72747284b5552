package OIDC::Browser;

# A browser as far as the wire shows it: cookies, navigation headers, redirects when asked. Connections are plain sockets;
# https goes through a pipe to `openssl s_client`.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IPC::Open2 qw(open2);
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use OIDC::Cookies;
use OIDC::Form qw(form_encode form_decode unescape);
use OIDC::Nginx;
use OIDC::Response;
use Time::HiRes qw(time);

# base: the origin that relative addresses belong to. ca: file for https. map: { origin => origin } to reach a host by another way.
sub new {
    my ($class, %option) = @_;
    return bless { jar => OIDC::Cookies->new, map => {}, idle => {}, headers => {}, clock => 0, %option }, $class;
}

sub cookies { return $_[0]{jar} }
# Another browser of the same machine, with nothing in its jar.
sub fresh { my ($self, %option) = @_; return OIDC::Browser->new(base => $self->{base}, ca => $self->{ca}, map => $self->{map}, %option) }

# ---- addresses ------------------------------------------------------------------------------------------------------

sub parse_url {
    my ($text) = @_;
    my ($scheme, $host, $port, $target) = $text =~ m{^(https?)://(\[[^\]]+\]|[^/:?#]+)(?::(\d+))?([^#]*)}i or die "not an address: $text\n";
    $target = "/$target" unless $target =~ m{^/};
    my %url = (scheme => lc $scheme, host => lc $host, port => $port // (lc $scheme eq 'https' ? 443 : 80), target => $target);
    $url{path} = $target =~ s/\?.*//sr;
    $url{authority} = defined $port ? "$url{host}:$port" : $url{host};
    $url{origin} = "$url{scheme}://$url{authority}";
    return \%url;
}

# RFC 3986 section 5, as far as tests need it.
sub resolve {
    my ($self, $text, $base) = @_;
    return $text if $text =~ m{^https?://}i;
    my $url = parse_url($base // $self->{base});
    return "$url->{scheme}:$text" if $text =~ m{^//} && defined $base;
    return $url->{origin} . $text if $text =~ m{^/};
    return $url->{origin} . $url->{path} . $text if $text =~ /^\?/;
    return $url->{origin} . ($url->{path} =~ s{[^/]*$}{}r) . $text;
}

# Scheme and registrable domain; addresses and single labels are sites of their own.
sub site {
    my ($url) = @_;
    my $host = $url->{host};
    $host = $1 if $host !~ /^[\d.]+$/ && $host =~ /([^.]+\.[^.]+)$/;
    return "$url->{scheme}://$host";
}

sub fetch_site {
    my ($url, $from) = @_;
    return 'none' unless defined $from;
    my $origin = parse_url($from);
    return 'same-origin' if $origin->{origin} eq $url->{origin};
    return site($origin) eq site($url) ? 'same-site' : 'cross-site';
}

# ---- requests -------------------------------------------------------------------------------------------------------

# What a browser sends with a request of this kind. `kind`: navigate, iframe, fetch, websocket or none.
sub headers_for {
    my ($kind, $url, $option) = @_;
    return {} if $kind eq 'none';
    my ($mode, $dest, $accept) = @{ {
        navigate  => ['navigate', 'document', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
        iframe    => ['navigate', 'iframe', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
        fetch     => ['cors', 'empty', '*/*'],
        websocket => ['websocket', 'empty', undef],
    }->{$kind} || die "no such kind of request: $kind\n" };
    my %headers = ('User-Agent' => 'Mozilla/5.0 (X11; Linux x86_64) Test/1.0', 'Accept-Language' => 'en');
    $headers{Accept} = $accept if $accept;
    # Only trustworthy origins are told how a request came to be.
    return \%headers unless OIDC::Cookies::is_secure($url);
    @headers{qw(Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-Site)} = ($mode, $dest, $option->{site} // fetch_site($url, $option->{from}));
    $headers{'Sec-Fetch-User'} = '?1' if $kind eq 'navigate';
    return \%headers;
}

# Options: kind, headers (hash; undef removes one, a list repeats it), form or body, from (address of the page that starts it), site
# (Sec-Fetch-Site as it is to be), cookies (0: none, a text: that line), follow (redirects), http (1.0), keepalive, connect (port).
sub get { my ($self, $url, %option) = @_; return $self->request('GET', $url, %option) }
sub head { my ($self, $url, %option) = @_; return $self->request('HEAD', $url, %option) }

sub post {
    my ($self, $url, $form, %option) = @_;
    return $self->request('POST', $url, form => $form, %option);
}

sub request {
    my ($self, $method, $address, %option) = @_;
    my $response = $self->send($method, $address, %option)->response;
    return $option{follow} ? $self->follow($response, %option) : $response;
}

# Follows redirects to their end. Method and body are dropped as browsers do; the initiator stays.
sub follow {
    my ($self, $response, %option) = @_;
    delete @option{qw(follow form body headers)};
    for (1 .. 20) {
        return $response unless $response->is_redirect;
        my $next = $self->resolve($response->location, $response->url);
        # Once a chain has left its site the rest counts as started by somebody else.
        $option{site} = 'cross-site' if defined $option{from} && fetch_site(parse_url($next), $response->url) eq 'cross-site';
        $response = $self->get($next, %option);
    }
    die "too many redirects, the last to " . $response->location . "\n";
}

# Sends and does not wait: the answer is had by ->response of what is returned.
sub send {
    my ($self, $method, $address, %option) = @_;
    my $url = parse_url($self->resolve($address));
    my $body = defined $option{form} ? form_encode($option{form}) : $option{body};
    my $kind = $option{kind} // 'navigate';
    my %headers = (Host => $url->{authority}, %{ headers_for($kind, $url, \%option) });
    $headers{'Content-Type'} = 'application/x-www-form-urlencoded' if defined $option{form};
    $headers{'Content-Length'} = length $body if defined $body;
    $headers{Origin} = parse_url($option{from})->{origin} if $method eq 'POST' && defined $option{from};
    $headers{Connection} = 'close' unless $option{keepalive};
    my $cookies = $self->cookie_line($url, $method, \%option);
    $headers{Cookie} = $cookies if length $cookies;
    set_header(\%headers, $_, $option{headers}{$_}) for keys %{ $option{headers} || {} };
    my $text = join '', map { my $n = $_; map { "$n: $_\r\n" } ref $headers{$n} ? @{ $headers{$n} } : $headers{$n} }
        sort { ($b eq 'Host') <=> ($a eq 'Host') || $a cmp $b } keys %headers;
    my $version = $option{http} // '1.1';
    my $bytes = "$method $url->{target} HTTP/$version\r\n$text\r\n" . ($body // '');
    return OIDC::Browser::Exchange->start($self, { method => $method, url => $url, bytes => $bytes, option => \%option });
}

# Names are compared without case, so that a test replaces what the browser sends.
sub set_header {
    my ($headers, $name, $value) = @_;
    delete @$headers{ grep { lc $_ eq lc $name } keys %$headers };
    $headers->{$name} = $value if defined $value;
}

sub now { my ($self) = @_; return time() + $self->{clock} }
# Moves the browser's own clock: cookies with a life end.
sub advance { my ($self, $seconds) = @_; $self->{clock} += $seconds }

sub cookie_line {
    my ($self, $url, $method, $option) = @_;
    my $wanted = $option->{cookies} // 1;
    return $wanted eq '0' ? '' : $wanted if $wanted ne '1';
    my $site = $option->{site} // fetch_site($url, $option->{from});
    my $top = ($option->{kind} // 'navigate') =~ /^(?:navigate|none)$/ && $method =~ /^(?:GET|HEAD)$/;
    my @cookies = $self->{jar}->matching($url, $self->now, cross => $site eq 'cross-site', top => $top);
    return join '; ', map { "$_->{name}=$_->{value}" } @cookies;
}

# Bytes as they are; returns every response that came until the server closed, or the first `count` ones.
sub raw {
    my ($self, $bytes, %option) = @_;
    my $url = parse_url($self->resolve('/'));
    my $exchange = OIDC::Browser::Exchange->start($self, { method => $option{method} // 'GET', url => $url, bytes => $bytes, option => {} });
    my @responses;
    while (!$option{count} || @responses < $option{count}) {
        my $response = eval { $exchange->response(1) } or last;
        push @responses, $response;
    }
    return wantarray ? @responses : $responses[0];
}

sub received {
    my ($self, $response, $url) = @_;
    for my $cookie ($response->set_cookies) {
        OIDC::Nginx::secret($cookie->{value});
        $self->{jar}->store($cookie, $url, $self->now);
    }
    return $response;
}

# ---- signing in -----------------------------------------------------------------------------------------------------

# Asks for a protected page. Returns the answer that sends the browser to the provider.
sub begin {
    my ($self, $address, %option) = @_;
    return $self->get($address, %option);
}

# Takes the answer of begin() to the provider, which approves. Returns the provider's answer.
sub approve {
    my ($self, $begun) = @_;
    die 'no redirect to a provider but ' . $begun->status . ': ' . substr($begun->body, 0, 300) . "\n" unless $begun->is_redirect;
    return $self->get($self->resolve($begun->location, $begun->url), from => $begun->url);
}

# Both at once: the address of the callback with its code, not yet opened.
sub callback_of {
    my ($self, $address, %option) = @_;
    my $approved = $self->approve($self->begin($address, %option));
    die 'the provider did not approve: ' . $approved->status . ' ' . $approved->body . "\n" unless $approved->is_redirect;
    return $approved->location;
}

# Opens a callback as the provider's page does: started by another site.
sub open_callback {
    my ($self, $url, %option) = @_;
    return $self->get($url, site => 'cross-site', %option);
}

# The whole flow. Returns the last answer: the page asked for, or whatever went wrong. `until => 'callback'` stops at the answer to
# the callback; other options are those of the first request.
sub login {
    my ($self, $address, %option) = @_;
    my $until = delete $option{until} // '';
    my $begun = $self->begin($address, %option);
    return $begun unless $begun->is_redirect;
    my $approved = $self->approve($begun);
    my $answer = $approved->is_redirect ? $self->open_callback($approved->location) : $self->submit($approved);
    return $answer if $until eq 'callback' || !$answer->is_redirect;
    my $next = $self->resolve($answer->location, $answer->url);
    # Another round at the provider is a new login: the test decides whether it wants one.
    return $answer if parse_url($next)->{origin} ne parse_url($answer->url)->{origin};
    return $self->get($next, site => 'cross-site');
}

# Sends the form of a form_post answer; a page without one is the end of the way.
sub submit {
    my ($self, $page) = @_;
    return $page unless $page->body =~ /<form[^>]* action="([^"]*)"/;
    my $action = html_unescape($1);
    my @inputs = map { [map { html_unescape($_) } @$_] } form_inputs($page->body);
    return $self->post($self->resolve($action, $page->url), \@inputs, from => $page->url);
}

sub form_inputs {
    my ($html) = @_;
    my @inputs;
    for my $input ($html =~ /<(?:input|button)\b([^>]*)>/g) {
        my ($name) = $input =~ /\bname="([^"]*)"/ or next;
        push @inputs, [$name, $input =~ /\bvalue="([^"]*)"/ ? $1 : ''];
    }
    return @inputs;
}

sub html_unescape {
    my ($text) = @_;
    my %entity = (amp => '&', lt => '<', gt => '>', quot => '"', '#39' => "'");
    return $text =~ s/&(amp|lt|gt|quot|#39);/$entity{$1}/gr;
}

# ---- one exchange on a connection -----------------------------------------------------------------------------------

package OIDC::Browser::Exchange;

use strict;
use warnings;

sub start {
    my ($class, $browser, $exchange) = @_;
    my $self = bless { browser => $browser, %$exchange, buffer => '' }, $class;
    $self->{key} = $self->{option}{connect} // $self->{url}{origin};
    my $kept = delete $browser->{idle}{ $self->{key} };
    if ($kept && $self->{option}{keepalive} && !IO::Select->new($kept->{in})->can_read(0)) {
        @$self{qw(in out pid)} = @$kept{qw(in out pid)};
    }
    else {
        $self->connect;
    }
    $self->write($self->{bytes});
    return $self;
}

sub connect {
    my ($self) = @_;
    my $mapped = $self->{browser}{map}{ $self->{url}{origin} };
    my $url = $mapped ? OIDC::Browser::parse_url($mapped) : $self->{url};
    my $port = $self->{option}{connect} // $url->{port};
    if ($url->{scheme} eq 'https') {
        my @verify = $self->{browser}{ca} ? ('-CAfile', $self->{browser}{ca}, '-verify_return_error') : ();
        open my $quiet, '>', '/dev/null';
        my $saved = \*STDERR;
        open my $stderr, '>&', $saved;
        open STDERR, '>&', $quiet;
        my @name = $url->{host} =~ /^[\d.]+$/ ? '-noservername' : ('-servername', $url->{host});
        $self->{pid} = IPC::Open2::open2($self->{in}, $self->{out}, qw(openssl s_client -quiet -connect), "127.0.0.1:$port", @name, @verify);
        open STDERR, '>&', $stderr;
        return;
    }
    $self->{in} = $self->{out} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Proto => 'tcp')
        or die "cannot connect to port $port: $!\n";
}

sub write {
    my ($self, $bytes) = @_;
    $self->{out}->blocking(1);
    while (length $bytes) {
        my $written = syswrite $self->{out}, $bytes;
        # The server may answer before it has read everything: the answer is what counts.
        return unless $written;
        substr $bytes, 0, $written, '';
    }
}

# Reads more, or dies when nothing comes for too long. False at the end.
sub more {
    my ($self) = @_;
    die "no answer to $self->{method} $self->{url}{path} within " . OIDC::Nginx::patience() . " seconds\n"
        unless IO::Select->new($self->{in})->can_read(OIDC::Nginx::patience());
    return sysread $self->{in}, $self->{buffer}, 65536, length $self->{buffer};
}

sub take {
    my ($self, $count) = @_;
    while (length $self->{buffer} < $count) { $self->more or last }
    return substr $self->{buffer}, 0, $count, '';
}

sub take_line {
    my ($self) = @_;
    while ($self->{buffer} !~ /\n/) { $self->more or return }
    $self->{buffer} =~ s/^(.*?)\r?\n//s;
    return $1;
}

# The answer. `quiet`: returns nothing instead of dying when the server closed without one.
sub response {
    my ($self, $quiet) = @_;
    my $head = $self->head;
    if (!$head) {
        $self->close;
        return if $quiet;
        die "connection closed without an answer to $self->{method} $self->{url}{path}\n";
    }
    my $response = OIDC::Response->new(%$head, url => $self->{url}{origin} . $self->{url}{target}, request => $self->{bytes});
    $response->{body} = $self->body($response);
    my $keep = $self->{option}{keepalive} && ($response->header('Connection') // '') !~ /close/i && $response->{version} eq '1.1';
    if ($keep) { $self->{browser}{idle}{ $self->{key} } = { map { $_ => $self->{$_} } qw(in out pid) } }
    elsif (!$quiet) { $self->close }
    return $self->{browser}->received($response, $self->{url});
}

sub head {
    my ($self) = @_;
    while (defined(my $line = $self->take_line)) {
        my ($version, $status, $reason) = $line =~ m{^HTTP/(\d\.\d) (\d{3}) ?(.*)} or die "not a status line: $line\n";
        my @headers;
        while (defined(my $header = $self->take_line)) {
            last if $header eq '';
            push @headers, [$1, $2] if $header =~ /^([^:]+):\s*(.*?)\s*$/;
        }
        next if $status =~ /^1/ && $status != 101;
        return { version => $version, status => $status, reason => $reason, headers => \@headers };
    }
    return;
}

sub body {
    my ($self, $response) = @_;
    return '' if $self->{method} eq 'HEAD' || $response->status =~ /^(?:101|204|304)$/;
    return $self->chunks if ($response->header('Transfer-Encoding') // '') =~ /chunked/i;
    my $length = $response->header('Content-Length');
    return $self->take($length) if defined $length;
    while ($self->more) { }
    return substr $self->{buffer}, 0, length $self->{buffer}, '';
}

sub chunks {
    my ($self) = @_;
    my $body = '';
    while (defined(my $line = $self->take_line)) {
        my $size = hex(($line =~ /^([0-9a-fA-F]+)/)[0] // 0);
        $body .= $self->take($size);
        $self->take_line;
        last unless $size;
    }
    return $body;
}

# Goes away without waiting, as a browser does when the user leaves.
sub close {
    my ($self) = @_;
    close $_ for grep { defined } delete @$self{qw(out in)};
    if (my $pid = delete $self->{pid}) {
        kill 'TERM', $pid;
        waitpid $pid, 0;
    }
}

1;
