// keyval_zone state=FILE: what a zone holds is in a file, less than a second later, and back from it when nginx starts.
#pragma once

#include "alarm.hpp"
#include "store_zone_data.hpp"
#include "zone_file.hpp"
#include "zone_state_io.hpp"

namespace auth_oidc {

class ZoneState {
public:
    ZoneState(Zone &zone, std::string path);
    ~ZoneState();
    ZoneState(const ZoneState &) = delete;
    ZoneState &operator=(const ZoneState &) = delete;

    void seal_with(const std::vector<std::string> &secrets);
    // FILE.key where no cookie_secret seals: read, or made. In the master, before its workers need it. False: logged.
    bool find_key(ngx_log_t *log);
    // Into a zone that is new. A file that is damaged counts as none, with a warning.
    void load(ngx_log_t *log);

    // A worker begins and ends. One worker of all writes.
    void start();
    void finish();

private:
    class Output;
    bool is_our_turn();
    void tick();
    bool begin(bool wait);
    void step();
    bool copy_some();
    bool give_up();
    void look();  // at what another generation has put in the place of the file
    void merge();
    void merge_record(const StateContent::Record &record);
    bool knows_more(const StateContent &content);
    void insert(const StateContent::Record &record);

    Zone &zone_;
    const std::string path_;
    std::vector<std::string> secrets_;
    std::unique_ptr<StateKeys> keys_;
    Alarm tick_, step_;
    StateStamp seen_;
    std::unique_ptr<Output> output_;
    bool started_ = false, failed_ = false;
};

}  // namespace auth_oidc
